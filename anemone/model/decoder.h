// Generation: one token after the other through a model on an engine, with a key-value cache.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "anemone/base/error.h"
#include "anemone/engine/engine.h"
#include "anemone/mil/weight_store.h"
#include "anemone/nn/model_config.h"

namespace anemone::model {

class Decoder {
 public:
  // Compiles for caches of at most `positions` positions. `weights` holds every parameter of the
  // config (its parts of the vocabulary are added by the decoder itself) and must outlive it.
  Decoder(const nn::ModelConfig& config, std::int64_t positions, const mil::WeightStore& weights,
          engine::Engine& engine, const engine::CompileOptions& options);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  std::int64_t position() const;   // tokens taken so far
  std::int64_t positions() const;  // that there is room for
  void reset();                    // forgets all tokens

  // Takes the next token; logits() are then those of the token after it. Fails when the cache is
  // full or the engine fails. Throws Error for a token outside of the vocabulary.
  Status take(std::uint32_t token);
  std::span<const float> logits() const;  // [vocab]

  std::size_t bytes() const;  // packed weights, caches, scratch
 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace anemone::model

// Generation: one token after the other through a model on an engine, with a key-value cache.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "anemone/base/error.h"
#include "anemone/engine/engine.h"
#include "anemone/mil/weight_store.h"
#include "anemone/nn/model_config.h"

namespace anemone::model {

class Decoder {
 public:
  // Compiles for caches of at most `positions` positions. `weights` holds every parameter of the
  // config (its parts of the vocabulary are added by the decoder itself) and must outlive it: the
  // embedding is looked up there. Throws Error for an engine that wants its inputs packed.
  Decoder(const nn::ModelConfig& config, std::int64_t positions, const mil::WeightStore& weights,
          engine::Engine& engine, const engine::CompileOptions& options);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  std::int64_t position() const;   // tokens taken so far
  std::int64_t positions() const;  // that there is room for
  std::int64_t vocabulary() const;
  void reset();  // forgets all tokens

  // Takes the next token; logits() are then those of the token after it, unless they are not wanted
  // (of a prompt only the last ones are). Fails when the cache is full or the engine fails. Throws
  // Error for a token outside of the vocabulary. Allocates nothing.
  Status take(std::uint32_t token, bool wants_logits = true);
  std::span<const float> logits() const;  // [vocab]

  std::size_t bytes() const;         // packed weights, caches, scratch
  std::size_t weight_bytes() const;  // of these: what every token reads
  // Of the caches: what the token at this position reads.
  std::size_t cache_bytes(std::int64_t position) const;
  std::string explain() const;  // of one layer, attention, and the rest

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace anemone::model

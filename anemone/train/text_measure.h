// How much text the tokens of a sample stand for: what perplexity and bits per byte are counted in.
#pragma once

#include <cstdint>
#include <memory>

#include "anemone/text/tokenizer.h"
#include "anemone/train/run_config.h"
#include "anemone/train/sample.h"

namespace anemone::train {

class TextMeasure {
 public:
  // Of a language model. Throws Error for a tokenizer that cannot be loaded.
  explicit TextMeasure(const RunConfig& config);

  struct Amount {
    std::uint64_t tokens = 0, bytes = 0;  // of the targets that count
  };
  Amount of(const Sample& sample) const;
  // Token ids of somebody else's making have a tokenizer only if the config says which.
  bool knows_bytes() const { return tokenizer_ != nullptr; }
  const text::Tokenizer* tokenizer() const { return tokenizer_.get(); }  // null: unknown

 private:
  std::unique_ptr<text::Tokenizer> tokenizer_;
};

// A mean loss in nats a token, as bits for each byte of text.
double bits_per_byte(double nats_per_token, const TextMeasure::Amount& amount);

}  // namespace anemone::train

// Counting tokens and bytes.
#include "anemone/train/text_measure.h"

#include <cmath>

namespace anemone::train {

TextMeasure::TextMeasure(const RunConfig& config) {
  auto tokenizer = text::load_tokenizer(config.data.tokenizer);
  // The default, bytes, is a guess where ids come from a file: it fits a vocabulary of 256 only.
  const bool fits = static_cast<std::int64_t>(tokenizer->vocabulary()) == config.model.vocab;
  if (config.data.source == "text" || fits) tokenizer_ = std::move(tokenizer);
}

TextMeasure::Amount TextMeasure::of(const Sample& sample) const {
  Amount amount;
  for (std::size_t i = 1; i < sample.tokens.size(); ++i) {
    if (sample.tokens[i] == Sample::kNoToken) continue;
    ++amount.tokens;
    if (tokenizer_ != nullptr)
      amount.bytes += tokenizer_->piece(sample.tokens[i - 1], sample.tokens[i]).size();
  }
  return amount;
}

double bits_per_byte(double nats_per_token, const TextMeasure::Amount& amount) {
  const double bits = nats_per_token / std::log(2.0);
  return bits * static_cast<double>(amount.tokens) / static_cast<double>(amount.bytes);
}

}  // namespace anemone::train

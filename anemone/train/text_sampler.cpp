// Writing samples of text.
#include "anemone/train/text_sampler.h"

#include <fmt/format.h>

#include "anemone/base/error.h"
#include "anemone/model/decoder.h"
#include "anemone/train/trainer.h"

namespace anemone::train {

TextSampler::TextSampler(const RunConfig& config, const text::Tokenizer* tokenizer)
    : config_(config), tokenizer_(tokenizer), prompt_(config.train.sample_prompt) {
  options_.tokens = config.train.sample_tokens;
  options_.sampler.temperature = config.train.sample_temperature;
  options_.sampler.top_p = model::kUsualTopP;
  options_.sampler.seed = static_cast<std::uint64_t>(config.train.sample_seed);
  if (!writes()) return;
  // Not every vocabulary has a token that begins a text; a new line does the same.
  if (prompt_.empty() && tokenizer_->encode(prompt_).empty()) prompt_ = "\n";
  const std::size_t tokens = tokenizer_->encode(prompt_).size();
  if (static_cast<std::int64_t>(tokens) > config.model.seq)
    throw Error(fmt::format("the prompt has {} tokens", tokens), "train.sample_prompt",
                fmt::format("at most {}, model.seq", config.model.seq));
}

std::int64_t TextSampler::every() const {
  const TrainConfig& train = config_.train;
  return train.sample_every > 0 ? train.sample_every : train.validate_every;
}

TextSampler::Written TextSampler::write(const mil::WeightStore& weights,
                                        engine::Engine& host_engine,
                                        const std::function<void()>& poll) const {
  engine::CompileOptions compile = compile_options(config_.engine);
  compile.pack_io = false;
  model::Decoder decoder(config_.model, config_.model.seq, weights, host_engine, compile);
  model::GenerateOptions options = options_;
  options.poll = poll;
  Written written;
  written.generation = model::generate(decoder, *tokenizer_, prompt_, options);
  written.bytes = decoder.bytes();
  return written;
}

std::string text_block(std::string_view text) {
  constexpr std::string_view kIndent = "    ", kReplacement = "\xef\xbf\xbd";  // U+FFFD
  std::string block(kIndent);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n')
      block += "\n" + std::string(kIndent);
    else if ((byte < 0x20 && c != '\t') || byte == 0x7f)
      block += kReplacement;
    else
      block += c;
  }
  return block;
}

}  // namespace anemone::train

// Text from a prompt: tokens of the prompt into a decoder, then one sampled token after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/model/decoder.h"
#include "anemone/model/sampler.h"
#include "anemone/text/tokenizer.h"

namespace anemone::model {

struct GenerateOptions {
  std::int64_t tokens = 256;  // at most so many behind the prompt
  SamplerOptions sampler;
  std::vector<std::string> stops;   // texts that end it, themselves left out
  std::function<void()> poll = {};  // before each token; what it throws ends the generation
};

enum class Stop : std::uint8_t {
  tokens,     // as many as wanted
  end_token,  // the model ended the document, or began the next one
  stop_text,
  positions,  // the model's positions are used up
};
const char* describe(Stop stop);  // "the model ended the text"

struct Generation {
  std::vector<text::TokenId> prompt, ids;  // ids: all that were sampled, an end token included
  std::string text;                        // without the prompt
  Stop stop = Stop::tokens;
  double prompt_seconds = 0, seconds = 0;  // for the prompt's tokens, and for those behind it
  std::int64_t steps = 0;                  // tokens that went through the model in `seconds`
};

// Throws Error for a prompt of no tokens or of more than the model's positions.
void check_prompt(std::span<const text::TokenId> prompt, std::int64_t positions);

// Forgets what the decoder had taken. `emit` gets text as it comes, in whole characters. Throws
// Error for a prompt that is empty or longer than the positions, a tokenizer that does not fit, bad
// options, and a failure of the engine.
Generation generate(Decoder& decoder, const text::Tokenizer& tokenizer, std::string_view prompt,
                    const GenerateOptions& options,
                    const std::function<void(std::string_view)>& emit = {});

}  // namespace anemone::model

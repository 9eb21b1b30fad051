// The loop of generation.
#include "anemone/model/generator.h"

#include <fmt/format.h>

#include <chrono>

#include "anemone/base/error.h"
#include "anemone/model/text_stream.h"

namespace anemone::model {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void take(Decoder& decoder, text::TokenId token, bool wants_logits,
          const std::function<void()>& poll) {
  if (poll) poll();
  const Status status = decoder.take(token, wants_logits);
  if (!status.ok()) throw Error(status.message);
}

void check(const Decoder& decoder, const text::Tokenizer& tokenizer, const Generation& result,
           const GenerateOptions& options) {
  if (tokenizer.vocabulary() > decoder.vocabulary())
    throw Error(fmt::format("the tokenizer has {} tokens", tokenizer.vocabulary()), "tokenizer",
                fmt::format("at most {}, the model's", decoder.vocabulary()));
  if (options.tokens < 0)
    throw Error(fmt::format("{} tokens", options.tokens), "tokens", "0 or more");
  check_prompt(result.prompt, decoder.positions());
}

}  // namespace

void check_prompt(std::span<const text::TokenId> prompt, std::int64_t positions) {
  if (prompt.empty())
    throw Error(
        "there is nothing to begin with: this tokenizer has no token for the beginning of a text",
        "prompt", "some text");
  if (static_cast<std::int64_t>(prompt.size()) > positions)
    throw Error(fmt::format("the prompt has {} tokens", prompt.size()), "prompt",
                fmt::format("at most {}, the model's positions", positions));
}

const char* describe(Stop stop) {
  switch (stop) {
    case Stop::tokens:
      return "as many tokens as wanted";
    case Stop::end_token:
      return "the model ended the text";
    case Stop::stop_text:
      return "a stop text";
    case Stop::positions:
      return "the model's positions are used up";
  }
  return "?";
}

Generation generate(Decoder& decoder, const text::Tokenizer& tokenizer, std::string_view prompt,
                    const GenerateOptions& options,
                    const std::function<void(std::string_view)>& emit) {
  Generation result;
  result.prompt = tokenizer.encode(prompt);
  check(decoder, tokenizer, result, options);
  Sampler sampler(options.sampler);
  TextStream stream(options.stops, emit);

  decoder.reset();
  Clock::time_point start = Clock::now();
  for (std::size_t i = 0; i < result.prompt.size(); ++i)
    take(decoder, result.prompt[i], i + 1 == result.prompt.size(), options.poll);
  result.prompt_seconds = seconds_since(start);

  start = Clock::now();
  text::TokenId last = result.prompt.back();
  while (static_cast<std::int64_t>(result.ids.size()) < options.tokens) {
    // A model may have more tokens than its tokenizer; those mean nothing.
    const text::TokenId next = sampler.sample(decoder.logits().first(tokenizer.vocabulary()));
    result.ids.push_back(next);
    // Models trained on documents one behind the other end one by beginning the next.
    if (next == tokenizer.end() || next == tokenizer.begin()) {
      result.stop = Stop::end_token;
      break;
    }
    if (stream.push(tokenizer.piece(last, next))) {
      result.stop = Stop::stop_text;
      break;
    }
    if (static_cast<std::int64_t>(result.ids.size()) == options.tokens) break;
    if (decoder.position() == decoder.positions()) {
      result.stop = Stop::positions;
      break;
    }
    take(decoder, next, /*wants_logits=*/true, options.poll);
    ++result.steps;
    last = next;
  }
  stream.finish();
  result.seconds = seconds_since(start);
  result.text = stream.text();
  return result;
}

}  // namespace anemone::model

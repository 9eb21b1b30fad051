// Generation whole: prompts, ends, stop strings, seeds, and the text that a real model writes.
#include "anemone/model/generator.h"

#include <gtest/gtest.h>

#include <fstream>

#include "anemone/engine/engines.h"
#include "anemone/model/model_weights.h"
#include "tests/model/small_model.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::model {
namespace {

using test::complaint;

struct Writer {
  ModelFile file;
  ModelWeights weights;
  std::unique_ptr<engine::Engine> engine;
  Decoder decoder;
  std::unique_ptr<text::Tokenizer> tokenizer;

  Writer(ModelFile model, std::unique_ptr<text::Tokenizer> words, int threads = 2)
      : file(std::move(model)),
        weights(file),
        engine(engine::make_engine("cpu", options(threads))),
        decoder(file.config, file.config.seq, weights.store(), *engine, {}),
        tokenizer(std::move(words)) {}
  static engine::EngineOptions options(int threads) {
    engine::EngineOptions options;
    options.threads = threads;
    return options;
  }
  Generation write(std::string_view prompt, const GenerateOptions& options) {
    std::string streamed;
    Generation result = generate(decoder, *tokenizer, prompt, options,
                                 [&](std::string_view text) { streamed += text; });
    EXPECT_EQ(streamed, result.text);
    return result;
  }
};

ModelFile byte_model(std::int64_t seq = 40) {
  nn::ModelConfig config = test::small_config(nn::Rope::pairs, true);
  config.vocab = 256;
  config.seq = seq;
  static const test::SmallModel model(config);
  return {.config = config, .tensors = model.tensors()};
}

TEST(Generator, WritesAsManyTokensAsWanted) {
  Writer writer(byte_model(), text::make_byte_tokenizer());
  for (const std::int64_t tokens : {0, 1, 17}) {
    const Generation result = writer.write("ab", {.tokens = tokens});
    EXPECT_EQ(static_cast<std::int64_t>(result.ids.size()), tokens);
    EXPECT_EQ(result.prompt, (std::vector<text::TokenId>{'a', 'b'}));
    EXPECT_EQ(result.text, writer.tokenizer->decode(result.ids));
    EXPECT_EQ(result.stop, Stop::tokens);
  }
}

// The token that follows the last position is known, but cannot be taken any more.
TEST(Generator, EndsWithThePositions) {
  Writer writer(byte_model(), text::make_byte_tokenizer());
  const Generation result = writer.write("abc", {.tokens = 1000});
  EXPECT_EQ(result.stop, Stop::positions);
  EXPECT_EQ(result.prompt.size() + result.ids.size(), 41U);
  EXPECT_EQ(writer.decoder.position(), 40);
  EXPECT_NE(complaint([&] {
              (void)writer.write(std::string(41, 'x'), {});
            }).find("at most 40, the model's positions"),
            std::string::npos);
}

TEST(Generator, SeedsDecideAndThreadsDoNot) {
  GenerateOptions options;
  options.tokens = 30;
  options.sampler = {.temperature = 1.5, .seed = 3};
  Writer one(byte_model(), text::make_byte_tokenizer(), 1);
  const Generation first = one.write("seed", options);
  EXPECT_EQ(one.write("seed", options).ids, first.ids);
  for (const int threads : {2, 3}) {
    Writer more(byte_model(), text::make_byte_tokenizer(), threads);
    EXPECT_EQ(more.write("seed", options).ids, first.ids) << threads;
  }
  options.sampler.seed = 4;
  EXPECT_NE(one.write("seed", options).ids, first.ids);
}

TEST(Generator, StopsInFrontOfAText) {
  Writer writer(byte_model(), text::make_byte_tokenizer());
  GenerateOptions options;
  options.tokens = 35;
  const std::string whole = writer.write("q", options).text;
  options.stops = {"never", whole.substr(10, 3)};
  const Generation result = writer.write("q", options);
  EXPECT_EQ(result.stop, Stop::stop_text);
  EXPECT_EQ(result.text, whole.substr(0, whole.find(whole.substr(10, 3))));
}

TEST(Generator, SaysWhatDoesNotFit) {
  Writer writer(byte_model(), text::make_byte_tokenizer());
  EXPECT_NE(complaint([&] { (void)writer.write("", {}); }).find("nothing to begin with"),
            std::string::npos);
  EXPECT_NE(complaint([&] { (void)writer.write("a", {.tokens = -1}); }).find("-1 tokens"),
            std::string::npos);
  ANEMONE_SHARED_OR_SKIP(vocabulary, "models/tok512.bin");
  Writer other(byte_model(), text::load_tokenizer(vocabulary.string()));
  EXPECT_NE(
      complaint([&] { (void)other.write("a", {}); }).find("expected at most 256, the model's"),
      std::string::npos);
}

TEST(Generator, ARealModelWritesItsText) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  Writer writer(read_model(models / "aidreams260K.bin"),
                text::load_tokenizer((models / "tok512.bin").string()));
  const Generation result =
      writer.write("", {.tokens = 60, .sampler = {.temperature = 0}, .stops = {", as I"}});
  EXPECT_EQ(result.text, "\"Echoes of vectors unfold, a gentle hum of precision");
  EXPECT_EQ(result.prompt, std::vector<text::TokenId>{1});
}

}  // namespace
}  // namespace anemone::model

// The decoder against the forward graph, the reference engine, and files that llama2.c wrote.
#include "anemone/model/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "anemone/engine/engines.h"
#include "anemone/model/generator.h"
#include "anemone/model/model_weights.h"
#include "anemone/nn/language_model.h"
#include "tests/model/small_model.h"
#include "tests/support/allocation_count.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::model {
namespace {

// Logits of every position, [position][vocab].
using Logits = std::vector<std::vector<float>>;

Logits decode(Decoder& decoder, const std::vector<std::uint32_t>& tokens) {
  Logits all;
  decoder.reset();
  for (const std::uint32_t token : tokens) {
    EXPECT_EQ(decoder.take(token).message, "");
    all.emplace_back(decoder.logits().begin(), decoder.logits().end());
  }
  return all;
}

struct Loaded {
  ModelFile file;
  ModelWeights weights;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<Decoder> decoder;

  explicit Loaded(ModelFile model, DType dtype = DType::fp32, const char* engine_name = "cpu",
                  int threads = 2, bool bf16 = false)
      : file(std::move(model)), weights(file) {
    file.config.dtype = dtype;
    engine::EngineOptions engine_options;
    engine_options.threads = threads;
    engine = engine::make_engine(engine_name, engine_options);
    engine::CompileOptions options;
    if (bf16) options.products = engine::ProductPrecision::bf16;
    decoder =
        std::make_unique<Decoder>(file.config, file.config.seq, weights.store(), *engine, options);
  }
};

ModelFile file_of(const test::SmallModel& model) {
  return {.config = model.config(), .tensors = model.tensors()};
}

std::vector<std::uint32_t> some_tokens(const nn::ModelConfig& config) {
  std::vector<std::uint32_t> tokens;
  for (std::int64_t i = 0; i < config.seq; ++i)
    tokens.push_back(static_cast<std::uint32_t>((i * 7 + 3) % config.vocab));
  return tokens;
}

double largest_difference(const Logits& a, const Logits& b) {
  double largest = 0;
  for (std::size_t s = 0; s < a.size(); ++s)
    for (std::size_t i = 0; i < a[s].size(); ++i)
      largest = std::max(largest, std::abs(static_cast<double>(a[s][i]) - b[s][i]));
  return largest;
}

std::vector<std::uint32_t> read_ids(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::vector<std::uint32_t> ids;
  for (std::uint32_t id; in >> id;) ids.push_back(id);
  return ids;
}

std::uint32_t best_of(std::span<const float> logits) {
  return static_cast<std::uint32_t>(std::max_element(logits.begin(), logits.end()) -
                                    logits.begin());
}

// Greedy tokens equal to those of llama2.c's run.c, token by token, in fp32.
void expect_greedy(const std::filesystem::path& model, const std::filesystem::path& tokens) {
  Loaded loaded(read_model(model));
  const std::vector<std::uint32_t> expected = read_ids(tokens);
  ASSERT_GT(expected.size(), 50U);
  std::uint32_t token = expected[0];
  for (std::size_t i = 1; i < expected.size(); ++i) {
    ASSERT_EQ(loaded.decoder->take(token).message, "");
    token = best_of(loaded.decoder->logits());
    ASSERT_EQ(token, expected[i]) << "token " << i;
  }
}

TEST(Decoder, ChoosesWhatLlama2cChooses) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  expect_greedy(models / "aidreams260K.bin", models / "aidreams260K.greedy.txt");
  expect_greedy(models / "stories260K.bin", models / "stories260K.greedy.txt");
}

// A model has the same logits in both formats: pairs and halves are the same turns.
TEST(Decoder, GivesTheSameLogitsInBothFormats) {
  const test::SmallModel model(test::small_config(nn::Rope::pairs, false));
  const test::TemporaryDirectory folder;
  ASSERT_EQ(
      write_model(folder.path() / "hf", ModelFormat::hugging_face, model.config(), model.tensors())
          .message,
      "");
  const std::vector<std::uint32_t> tokens = some_tokens(model.config());
  Loaded pairs(file_of(model)), halves(read_model(folder.path() / "hf"));
  EXPECT_EQ(halves.file.config.rope, nn::Rope::halves);
  EXPECT_LE(largest_difference(decode(*pairs.decoder, tokens), decode(*halves.decoder, tokens)),
            1e-5);
  // And back again to the last bit.
  ASSERT_EQ(write_model(folder.path() / "m.bin", ModelFormat::llama2c, halves.file.config,
                        halves.file.tensors)
                .message,
            "");
  Loaded back(read_model(folder.path() / "m.bin"));
  EXPECT_EQ(decode(*pairs.decoder, tokens), decode(*back.decoder, tokens));
}

TEST(Decoder, AgreesWithTheReferenceEngine) {
  for (const nn::Rope rope : {nn::Rope::none, nn::Rope::pairs}) {
    for (const DType dtype : {DType::fp32, DType::fp16}) {
      const test::SmallModel model(test::small_config(rope, true));
      const std::vector<std::uint32_t> tokens = some_tokens(model.config());
      Loaded cpu(file_of(model), dtype), reference(file_of(model), dtype, "reference");
      const double difference =
          largest_difference(decode(*cpu.decoder, tokens), decode(*reference.decoder, tokens));
      // Logits are about 1; some hundred roundings of either kind lie between.
      EXPECT_LE(difference, 100 * (dtype == DType::fp32 ? 0x1p-24 : 0x1p-11));
    }
  }
}

TEST(Decoder, IsTheSameForAnyNumberOfThreads) {
  const test::SmallModel model(test::small_config(nn::Rope::pairs, true));
  const std::vector<std::uint32_t> tokens = some_tokens(model.config());
  Loaded one(file_of(model), DType::fp16, "cpu", 1);
  const Logits expected = decode(*one.decoder, tokens);
  for (const int threads : {2, 3, 4}) {
    Loaded more(file_of(model), DType::fp16, "cpu", threads);
    EXPECT_EQ(decode(*more.decoder, tokens), expected) << threads << " threads";
  }
}

TEST(Decoder, ForgetsAndEnds) {
  const test::SmallModel model(test::small_config(nn::Rope::halves, true));
  const std::vector<std::uint32_t> tokens = some_tokens(model.config());
  Loaded loaded(file_of(model));
  Decoder& decoder = *loaded.decoder;
  const Logits first = decode(decoder, tokens);
  EXPECT_EQ(decoder.position(), 12);
  EXPECT_EQ(decoder.take(1).message, "all 12 positions are used");
  EXPECT_THROW((void)decoder.take(19), Error);
  std::vector<std::uint32_t> others(tokens.rbegin(), tokens.rend());
  EXPECT_NE(decode(decoder, others), first);
  EXPECT_EQ(decode(decoder, tokens), first);  // nothing of the others is left
}

// Longer than the shortest cache: attention changes from one program to the next.
TEST(Decoder, DoesNotNoticeWhereCachesGrow) {
  nn::ModelConfig config = test::small_config(nn::Rope::pairs, true);
  config.seq = 150;
  const test::SmallModel model(config);
  Loaded loaded(file_of(model));
  const Logits all = decode(*loaded.decoder, some_tokens(config));
  Loaded reference(file_of(model), DType::fp32, "reference");
  EXPECT_LE(largest_difference(all, decode(*reference.decoder, some_tokens(config))),
            100 * 0x1p-24);
  EXPECT_LT(loaded.decoder->cache_bytes(0), loaded.decoder->cache_bytes(149));
}

TEST(Decoder, AllocatesNothing) {
  if (!test::allocation_count()) GTEST_SKIP() << "allocations are not counted in this build";
  const test::SmallModel model(test::small_config(nn::Rope::pairs, true));
  Loaded loaded(file_of(model), DType::fp16);
  const auto before = test::allocation_count();
  for (std::uint32_t token = 0; token < 12; ++token) ASSERT_TRUE(loaded.decoder->take(token).ok());
  EXPECT_EQ(test::allocation_count(), before);
}

// Every weight once, in 16 bits (and the norms): no fp32 copy beside it.
TEST(Decoder, HoldsWeightsOnce) {
  nn::ModelConfig config = test::small_config(nn::Rope::pairs, true);
  config.dim = config.hidden = 96;  // whole panels
  config.head_dim = 16;
  config.vocab = 64;
  const test::SmallModel model(config);
  std::size_t elements = 0;
  for (const NamedTensor& tensor : model.tensors())
    elements += static_cast<std::size_t>(tensor.tensor.shape.elements());
  Loaded loaded(file_of(model), DType::fp16);
  EXPECT_GE(loaded.decoder->weight_bytes(), 2 * elements);
  EXPECT_LE(loaded.decoder->weight_bytes(), 2 * elements + 4096);
}

}  // namespace
}  // namespace anemone::model

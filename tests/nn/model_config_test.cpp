// The rules of a model's shape and the counting of its work.
#include <gtest/gtest.h>

#include "anemone/base/error.h"
#include "anemone/nn/language_model.h"
#include "anemone/nn/layer.h"
#include "tests/support/default_layer.h"

namespace anemone::test {
namespace {

TEST(ModelConfig, FillsInWhatFollows) {
  nn::ModelConfig config = default_layer();
  config.resolve();
  EXPECT_EQ(config.kv_heads, 12);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.q_dim(), 768);
  config.resolve();  // a resolved config stays as it is
  EXPECT_EQ(config.head_dim, 64);
}

TEST(ModelConfig, TakesAnyHeadDim) {
  nn::ModelConfig config = default_layer();
  config.heads = 5;
  config.head_dim = 32;
  config.resolve();
  EXPECT_EQ(config.q_dim(), 160);
}

TEST(ModelConfig, TakesFewerKeyHeadsAndAVocabulary) {
  nn::ModelConfig config = default_layer();
  config.kv_heads = 4;
  config.vocab = 32000;
  config.rope = nn::Rope::pairs;
  config.resolve();
  EXPECT_EQ(config.q_dim(), 768);
  EXPECT_EQ(config.kv_dim(), 256);
  EXPECT_TRUE(config.is_language_model());
}

struct BadConfig {
  const char* name;
  void (*spoil)(nn::ModelConfig&);
  const char* where;
  const char* says;
};

class BadModelConfig : public testing::TestWithParam<BadConfig> {};

TEST_P(BadModelConfig, NamesTheKey) {
  nn::ModelConfig config = default_layer();
  GetParam().spoil(config);
  try {
    config.resolve();
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), GetParam().where) << error.what();
    EXPECT_NE(std::string(error.what()).find(GetParam().says), std::string::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, BadModelConfig,
    testing::Values(
        BadConfig{"dim", [](auto& c) { c.dim = 0; }, "model.dim", "0 or not given"},
        BadConfig{"hidden", [](auto& c) { c.hidden = -1; }, "model.hidden", "-1 is out of range"},
        BadConfig{"hidden_too_large", [](auto& c) { c.hidden = 1 << 21; }, "model.hidden",
                  "1 to 1048576"},
        BadConfig{"heads", [](auto& c) { c.heads = 7; }, "model.heads",
                  "7 heads do not divide model.dim = 768"},
        BadConfig{"no_heads", [](auto& c) { c.heads = 0; }, "model.heads", "0 or not given"},
        BadConfig{"kv_heads", [](auto& c) { c.kv_heads = 5; }, "model.kv_heads",
                  "5 key/value heads do not divide model.heads = 12"},
        BadConfig{"negative_kv_heads", [](auto& c) { c.kv_heads = -1; }, "model.kv_heads",
                  "-1 is out of range"},
        BadConfig{"head_dim", [](auto& c) { c.head_dim = 1 << 20; }, "model.head_dim",
                  "heads * head_dim"},
        BadConfig{"layers", [](auto& c) { c.layers = 0; }, "model.layers", "0 or not given"},
        BadConfig{"too_many_layers", [](auto& c) { c.layers = 1025; }, "model.layers", "1 to 1024"},
        BadConfig{"seq", [](auto& c) { c.seq = 0; }, "model.seq", "0 or not given"},
        BadConfig{"batch", [](auto& c) { c.batch = 2; }, "model.batch", "2 sequences"},
        BadConfig{"rope",
                  [](auto& c) {
                    c.rope = nn::Rope::pairs;
                    c.head_dim = 63;
                  },
                  "model.head_dim", "heads of 63 channels have no pairs"},
        BadConfig{"rope_theta",
                  [](auto& c) {
                    c.rope = nn::Rope::halves;
                    c.rope_theta = 0.5;
                  },
                  "model.rope_theta", "0.5 is out of range"},
        BadConfig{"vocab", [](auto& c) { c.vocab = -1; }, "model.vocab", "-1 tokens"},
        BadConfig{"vocab_too_large", [](auto& c) { c.vocab = (1 << 20) + 1; }, "model.vocab",
                  "1 to 1048576"},
        BadConfig{"dtype", [](auto& c) { c.dtype = DType::bf16; }, "model.dtype", "bf16"},
        BadConfig{"norm_eps", [](auto& c) { c.norm_eps = 0; }, "model.norm_eps", "above 0"},
        BadConfig{"norm_eps_fp16", [](auto& c) { c.norm_eps = 1e-9; }, "model.norm_eps",
                  "zero in fp16"}),
    [](const auto& test) { return test.param.name; });

TEST(StepFlops, DefaultLayer) {
  const nn::StepFlops full = nn::step_flops(default_layer(), /*causal=*/false);
  EXPECT_NEAR(full.total() * 1e-9, 24.56, 0.005);
  EXPECT_NEAR(nn::step_flops(default_layer(), /*causal=*/true).total() * 1e-9, 23.15, 0.005);
  EXPECT_NEAR(full.dx * 1e-6, 7247.8, 0.05);
  EXPECT_NEAR((full.forward - full.dx) * 1e-6, 805.3, 0.05);
  EXPECT_NEAR(full.attention_backward * 1e-6, 2013.3, 0.05);
}

// dim 768, hidden 2048, 12 layers, 12 heads on 4, 32,000 tokens, 256 positions, by hand.
TEST(StepFlops, LanguageModel) {
  nn::ModelConfig config = default_layer();
  config.layers = 12;
  config.kv_heads = 4;
  config.vocab = 32000;
  config.seq = 256;
  const double classifier = 2.0 * 256 * 768 * 32000;
  const double layer = 2.0 * 256 * 768 * (2 * 768 + 2 * 256 + 3 * 2048);
  const double square = 2.0 * 256 * 256 * 768;
  const nn::StepFlops flops = nn::step_flops(config, /*causal=*/false);
  EXPECT_DOUBLE_EQ(flops.forward, classifier + 12 * (layer + 2 * square));
  EXPECT_DOUBLE_EQ(flops.dx, classifier + 12 * layer);
  EXPECT_DOUBLE_EQ(flops.dw, classifier + 12 * layer);
  EXPECT_DOUBLE_EQ(flops.attention_backward, 12 * 5 * square);
  EXPECT_DOUBLE_EQ(nn::step_flops(config, /*causal=*/true).attention_backward, 12 * 2.5 * square);
}

TEST(Parameters, LanguageModel) {
  nn::ModelConfig config = default_layer();
  config.layers = 2;
  config.kv_heads = 4;
  config.vocab = 500;
  for (const bool tied : {true, false}) {
    config.tied = tied;
    const auto parameters = nn::model_parameters(config);
    ASSERT_EQ(parameters.size(), 20U + (tied ? 0 : 1));
    EXPECT_EQ(parameters[0].name, "embedding");
    EXPECT_EQ(parameters[0].shape, (Shape{500, 768}));
    EXPECT_EQ(parameters[2].shape, (Shape{256, 768}));
    EXPECT_EQ(parameters[19].name, "final_norm");
    EXPECT_EQ(parameters.back().name, tied ? "final_norm" : "classifier");
    for (const nn::ParameterSpec& spec : parameters) {
      const bool is_norm = spec.shape.rank() == 1;
      EXPECT_EQ(spec.init, is_norm ? nn::Init::ones : nn::Init::normal) << spec.name;
      EXPECT_EQ(spec.decay, !is_norm && spec.name != "embedding") << spec.name;
      const bool into_residual = spec.name.ends_with("wo") || spec.name.ends_with("w2");
      EXPECT_DOUBLE_EQ(spec.init_scale, is_norm ? 1 : into_residual ? 0.01 : 0.02) << spec.name;
    }
  }
}

TEST(VocabParts, CoverTheVocabularyOnceAndEvenly) {
  for (const std::int64_t vocab : {1, 50, 8192, 8193, 32000, 50257, 1 << 20}) {
    const auto parts = nn::vocab_parts(vocab);
    std::int64_t next = 0;
    for (const nn::VocabPart& part : parts) {
      EXPECT_EQ(part.first, next);
      EXPECT_GE(part.rows, parts.front().rows);
      EXPECT_LE(part.rows, parts.front().rows + 1);
      EXPECT_LE(part.rows, 8192);
      next += part.rows;
    }
    EXPECT_EQ(next, vocab);
    EXPECT_EQ(static_cast<std::int64_t>(parts.size()), (vocab + 8191) / 8192);
  }
}

TEST(Parameters, DefaultLayer) {
  const nn::StepGraph graph = nn::layer_step(default_layer(), "six");
  const char* const names[] = {"l0.wq", "l0.wk", "l0.wv",    "l0.wo",   "l0.w1",
                               "l0.w2", "l0.w3", "l0.norm1", "l0.norm2"};
  ASSERT_EQ(graph.parameters.size(), std::size(names));
  std::int64_t count = 0;
  for (std::size_t i = 0; i < std::size(names); ++i) {
    const nn::ParameterSpec& spec = graph.parameters[i];
    EXPECT_EQ(spec.name, names[i]);
    EXPECT_EQ(spec.decay, spec.shape.rank() == 2) << spec.name;
    EXPECT_EQ(spec.init, spec.shape.rank() == 2 ? nn::Init::uniform : nn::Init::ones) << spec.name;
    count += spec.shape.elements();
  }
  EXPECT_EQ(count, 4 * 768 * 768 + 3 * 768 * 2048 + 2 * 768);
  EXPECT_EQ(graph.parameters[4].shape, (Shape{2048, 768}));
  EXPECT_EQ(graph.parameters[5].shape, (Shape{768, 2048}));
}

}  // namespace
}  // namespace anemone::test

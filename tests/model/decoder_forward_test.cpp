// At every position the decoder's logits are those of the model's forward graph over the whole
// sequence, within rounding: the programs of one position and of a sequence are the same model.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "anemone/engine/engines.h"
#include "anemone/mil/constant_source.h"
#include "anemone/model/decoder.h"
#include "anemone/nn/language_model.h"
#include "tests/support/step_evaluator.h"

namespace anemone::model {
namespace {

// Several parts of the vocabulary, and heads whose channels are not dim / heads.
nn::ModelConfig config_with(nn::Rope rope, std::int64_t kv_heads, bool tied, DType dtype) {
  nn::ModelConfig config;
  config.dim = 24;
  config.hidden = 40;
  config.heads = 4;
  config.kv_heads = kv_heads;
  config.head_dim = 8;
  config.layers = 2;
  config.seq = 9;
  config.vocab = 9000;
  config.tied = tied;
  config.rope = rope;
  config.dtype = dtype;
  return config;
}

// Logits of the forward graph, by the reference evaluator: [vocab] for each position.
std::vector<std::vector<double>> forward_logits(const test::LayerCase& c,
                                                const nn::StepGraph& graph) {
  mil::ConstantSource constants(&c.weights);
  const auto values = test::evaluate_step(graph, c.inputs, constants, {}, test::StepPart::forward);
  const auto positions = static_cast<std::size_t>(c.config.seq);
  std::vector<std::vector<double>> logits(positions);
  for (std::size_t part = 0; part < nn::vocab_parts(c.config.vocab).size(); ++part) {
    const std::vector<double>& found = values.tensors.at(fmt::format("logits{}", part));
    for (std::size_t i = 0; i < found.size(); ++i) logits[i % positions].push_back(found[i]);
  }
  return logits;
}

void expect_forward_logits(const nn::ModelConfig& config) {
  const test::LayerCase c(config, 5);
  const nn::StepGraph graph = nn::language_model_forward(c.config, "merged");
  const auto expected = forward_logits(c, graph);
  const double tolerance =
      test::rounding(test::count_operations(graph), c.config.hidden, c.config.dtype);
  const auto engine = engine::make_engine("cpu", {.threads = 2});
  Decoder decoder(c.config, c.config.seq, c.weights, *engine, {});
  for (std::size_t s = 0; s < expected.size(); ++s) {
    ASSERT_EQ(decoder.take(static_cast<std::uint32_t>(c.inputs.at("tokens")[s])).message, "");
    const std::vector<double> logits(decoder.logits().begin(), decoder.logits().end());
    ASSERT_EQ(logits.size(), expected[s].size());
    EXPECT_LE(test::distance(logits, expected[s]), tolerance * test::norm(expected[s]))
        << "position " << s;
  }
}

TEST(DecoderForward, GivesTheForwardGraphsLogitsAtEveryPosition) {
  for (const DType dtype : {DType::fp32, DType::fp16}) {
    for (const nn::Rope rope : {nn::Rope::none, nn::Rope::pairs, nn::Rope::halves}) {
      for (const std::int64_t kv_heads : {4, 2, 1}) {
        SCOPED_TRACE(fmt::format("{} rope {} kv_heads {}", dtype_name(dtype), nn::rope_name(rope),
                                 kv_heads));
        expect_forward_logits(config_with(rope, kv_heads, kv_heads == 2, dtype));
      }
    }
  }
}

}  // namespace
}  // namespace anemone::model

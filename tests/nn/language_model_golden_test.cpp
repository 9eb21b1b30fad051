// Logits, loss and every gradient of a small language model as PyTorch computes them
// (tests/train/golden/make_language_model_golden.py), reproduced in double from the programs; the
// trainer's own test of the same file makes its updates.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "anemone/base/file.h"
#include "anemone/nn/language_model.h"
#include "tests/support/shared.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

using Json = nlohmann::json;

const Json& golden() {
  static const Json json =
      Json::parse(read_text_file(source_root() / "tests/train/golden/language_model.json"));
  return json;
}

nn::ModelConfig golden_config(DType dtype) {
  const Json& model = golden().at("model");
  nn::ModelConfig config;
  config.dim = model.at("dim");
  config.hidden = model.at("hidden");
  config.layers = model.at("layers");
  config.heads = model.at("heads");
  config.kv_heads = model.at("kv_heads");
  config.head_dim = model.at("head_dim");
  config.seq = model.at("seq");
  config.vocab = model.at("vocab");
  config.tied = model.at("tied");
  config.rope = nn::find_rope(model.at("rope").get<std::string>()).value();
  config.rope_theta = model.at("rope_theta");
  config.norm_eps = model.at("norm_eps");
  config.dtype = dtype;
  config.resolve();
  return config;
}

// The generator's initial weights.
std::vector<std::vector<float>> golden_weights(const std::vector<nn::ParameterSpec>& specs) {
  srand48(42);
  std::vector<std::vector<float>> weights;
  int norms = 0;
  for (const nn::ParameterSpec& spec : specs) {
    std::vector<float> values(static_cast<std::size_t>(spec.shape.elements()));
    const bool is_norm = spec.shape.rank() == 1;
    const double scale =
        is_norm || spec.name == "embedding" ? 1 : 1 / std::sqrt(static_cast<double>(spec.shape[1]));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] =
          static_cast<float>(is_norm ? 1 + 0.3 * std::sin(0.7 * static_cast<double>(i) + norms)
                                     : scale * (2 * drand48() - 1));
    }
    norms += is_norm ? 1 : 0;
    weights.push_back(std::move(values));
  }
  return weights;
}

// The largest difference, relative to the largest element.
double error_of(const std::vector<double>& ours, const Json& stored) {
  const auto theirs = stored.get<std::vector<double>>();
  EXPECT_EQ(ours.size(), theirs.size());
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    largest = std::max(largest, std::abs(theirs[i]));
    worst = std::max(worst, std::abs(theirs[i] - ours[i]));
  }
  return worst / largest;
}

class LanguageModelGolden : public testing::TestWithParam<std::string_view> {
 protected:
  LanguageModelGolden()
      : config(golden_config(DType::fp32)),
        graph(nn::language_model_step(config, GetParam())),
        values(golden_weights(graph.parameters)) {
    for (std::size_t i = 0; i < values.size(); ++i)
      weights.add(graph.parameters[i].name, graph.parameters[i].shape, values[i]);
    for (const nn::ParameterRows& rows : graph.parameter_rows) {
      ANEMONE_CHECK(rows.first == 0 && rows.count == config.vocab, "a vocabulary in one part");
      weights.add(rows.name, {rows.count, config.dim}, weights.get(rows.parameter).values);
    }
    inputs["tokens"] = golden().at("tokens").front().get<std::vector<double>>();
    inputs["loss_scale"] = {1};
  }

  nn::ModelConfig config;
  nn::StepGraph graph;
  std::vector<std::vector<float>> values;
  mil::WeightStore weights;
  mil::TensorMap<double> inputs;
};

// Stored with nine digits; the programs' constants (scales, rotation, norm_eps) are fp32.
constexpr double kDouble = 2e-7;

TEST_P(LanguageModelGolden, LogitsLossAndGradients) {
  mil::ConstantSource constants(&weights);
  const auto step = evaluate_step(graph, inputs, constants, {.round = false});
  EXPECT_LE(error_of(step.tensors.at("logits0"), golden().at("logits")), kDouble);
  EXPECT_NEAR(step.tensors.at("loss").front(), golden().at("losses").front(), kDouble * 10);
  for (const nn::ParameterSpec& spec : graph.parameters) {
    EXPECT_LE(error_of(step.gradients.at(spec.name), golden().at("gradients").at(spec.name)),
              8 * kDouble)
        << spec.name;
  }
}

// The project's promise for fp32 programs: logits within 1e-4, the loss within 1e-5, gradients
// within 1e-4 of their largest element.
TEST_P(LanguageModelGolden, InFp32) {
  mil::ConstantSource constants(&weights);
  const auto step = evaluate_step(graph, inputs, constants);
  EXPECT_LE(error_of(step.tensors.at("logits0"), golden().at("logits")), 1e-4);
  EXPECT_NEAR(step.tensors.at("loss").front(), golden().at("losses").front(), 1e-5);
  for (const nn::ParameterSpec& spec : graph.parameters) {
    EXPECT_LE(error_of(step.gradients.at(spec.name), golden().at("gradients").at(spec.name)), 1e-4)
        << spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Partitions, LanguageModelGolden,
                         testing::Values("six", "merged", "dynamic"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace anemone::test

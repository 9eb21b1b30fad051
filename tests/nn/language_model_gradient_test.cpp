// The gradients of a whole small language model against exact derivatives of its loss by the
// complex step, in every partition; then every engine and element type within the rounding of its
// numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <tuple>

#include "anemone/engine/engines.h"
#include "anemone/nn/language_model.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

// Grouped queries, rotary embedding, heads that are not dim / heads, and no two sizes alike.
nn::ModelConfig tiny_language_model(bool tied) {
  nn::ModelConfig config;
  config.dim = 6;
  config.hidden = 10;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 4;
  config.layers = 2;
  config.seq = 5;
  config.vocab = 9;
  config.tied = tied;
  config.rope = tied ? nn::Rope::pairs : nn::Rope::halves;
  config.rope_theta = 20;
  config.dtype = DType::fp32;
  return config;
}

// Rounding of the double arithmetic itself: one per operation and term of a sum.
double roundings(const nn::StepGraph& graph, std::int64_t terms) {
  return count_operations(graph) * static_cast<double>(terms) * std::ldexp(1, -53);
}

class TinyLanguageModel : public testing::TestWithParam<std::tuple<std::string_view, bool>> {};

TEST_P(TinyLanguageModel, EveryGradientEqualsTheDerivative) {
  const auto& [partition, tied] = GetParam();
  LayerCase model(tiny_language_model(tied), 3);
  model.inputs["tokens"] = {4, 0, 7, 7, 2, 8};  // one twice, some never, one only as a target
  const nn::StepGraph graph = nn::language_model_step(model.config, partition);
  mil::ConstantSource constants(&model.weights);
  const auto step = evaluate_step(graph, model.inputs, constants, {.round = false});

  const auto inputs = convert<Complex>(model.inputs);
  auto weights = convert<Complex>(model.parameters());
  EXPECT_EQ(weights.size(), 20U + (tied ? 0 : 1));
  for (auto& [name, values] : weights) {
    std::vector<double> expected;
    for (Complex& element : values) {
      element.imag(kComplexStep);
      expected.push_back(scaled_loss_derivative(model, graph, inputs, weights));
      element.imag(0);
    }
    const std::vector<double>& gradient = step.gradients.at(name);
    ASSERT_EQ(gradient.size(), expected.size());
    EXPECT_GT(norm(expected), 0) << name;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(gradient[i], expected[i], roundings(graph, model.config.hidden) * norm(expected))
          << name << "[" << i << "]";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Partitions, TinyLanguageModel,
                         testing::Combine(testing::Values("six", "merged", "dynamic"),
                                          testing::Bool()),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)) +
                                  (std::get<1>(test.param) ? "_tied" : "_separate");
                         });

// Sequences end where their text ends: the targets behind it have no share in anything.
TEST(LanguageModel, TargetsThatDoNotCountHaveNoShare) {
  const LayerCase model(tiny_language_model(true), 3);
  const nn::StepGraph graph = nn::language_model_step(model.config, "merged");
  mil::ConstantSource constants(&model.weights);
  auto inputs = model.inputs;
  inputs["tokens"] = {4, 0, 7, 7, 2, -1};
  const auto step = evaluate_step(graph, inputs, constants, {.round = false});
  const auto complex_inputs = convert<Complex>(inputs);
  auto weights = convert<Complex>(model.parameters());
  Complex& element = weights.at("embedding").at(7 * 6 + 1);
  element.imag(kComplexStep);
  const double expected = scaled_loss_derivative(model, graph, complex_inputs, weights);
  const std::vector<double>& gradient = step.gradients.at("embedding");
  EXPECT_NEAR(gradient.at(7 * 6 + 1), expected, roundings(graph, 10) * norm(gradient));
  for (std::size_t row = 0; row < 9; ++row)
    EXPECT_EQ(step.tensors.at("dlogits0").at(row * 5 + 4), 0) << row;
  EXPECT_EQ(step.tensors.at("weight"), (std::vector<double>{1.25, 1.25, 1.25, 1.25, 0}));
}

// More tokens than one part of the vocabulary holds: directional derivatives, for the sums over all
// rows, and single rows on both sides of the cut.
class PartsOfTheVocabulary : public testing::TestWithParam<std::tuple<std::string_view, DType>> {};

TEST_P(PartsOfTheVocabulary, GradientsEqualTheDerivatives) {
  const auto& [partition, dtype] = GetParam();
  nn::ModelConfig config = tiny_language_model(true);
  config.vocab = 8200;
  config.dtype = dtype;
  LayerCase model(config, 5);
  ASSERT_EQ(nn::vocab_parts(config.vocab).size(), 2U);
  model.inputs["tokens"] = {8199, 4099, 4100, 3, 4100, 8000};
  const nn::StepGraph graph = nn::language_model_step(model.config, partition);
  mil::ConstantSource constants(&model.weights);
  const auto step = evaluate_step(graph, model.inputs, constants, {.round = false});
  const auto inputs = convert<Complex>(model.inputs);
  auto weights = convert<Complex>(model.parameters());

  std::mt19937 random(8);
  for (auto& [name, values] : weights) {
    const std::vector<double>& gradient = step.gradients.at(name);
    double expected = 0, terms = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double sign = (random() & 1u) != 0 ? 1 : -1;
      values[i].imag(sign * kComplexStep);
      expected += sign * gradient[i];
      terms += std::abs(gradient[i]);
    }
    const double derivative = scaled_loss_derivative(model, graph, inputs, weights);
    for (Complex& value : values) value.imag(0);
    EXPECT_NEAR(derivative, expected, roundings(graph, config.vocab) * terms) << name;
    EXPECT_GT(terms, 0) << name;
  }
  for (const std::size_t row : {0, 3, 4099, 4100, 8000, 8199}) {
    Complex& element = weights.at("embedding").at(row * 6 + 2);
    element.imag(kComplexStep);
    const double derivative = scaled_loss_derivative(model, graph, inputs, weights);
    element.imag(0);
    const std::vector<double>& gradient = step.gradients.at("embedding");
    EXPECT_NEAR(gradient.at(row * 6 + 2), derivative,
                roundings(graph, config.vocab) * norm(gradient))
        << row;
  }
}

INSTANTIATE_TEST_SUITE_P(Partitions, PartsOfTheVocabulary,
                         testing::Combine(testing::Values("six", "dynamic"),
                                          testing::Values(DType::fp16, DType::fp32)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)) + "_" +
                                  dtype_name(std::get<1>(test.param));
                         });

nn::ModelConfig small_language_model(DType dtype) {
  nn::ModelConfig config;
  config.dim = 48;
  config.hidden = 72;
  config.heads = 6;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.layers = 2;
  config.seq = 40;
  config.vocab = 90;
  config.rope = nn::Rope::halves;
  config.dtype = dtype;
  return config;
}

class SmallLanguageModel : public testing::TestWithParam<std::tuple<std::string_view, DType>> {};

TEST_P(SmallLanguageModel, HoldsOnEveryEngine) {
  const auto& [partition, dtype] = GetParam();
  const LayerCase model(small_language_model(dtype), 4);
  const nn::StepGraph graph = nn::language_model_step(model.config, partition);
  mil::ConstantSource constants(&model.weights);
  const auto exact = evaluate_step(graph, model.inputs, constants, {.round = false});
  const double relative = rounding(count_operations(graph), model.config.vocab, dtype);
  expect_close(evaluate_step(graph, model.inputs, constants), exact, graph, relative,
               "rounded evaluation");
  for (const engine::EngineEntry& entry : engine::engines()) {
    if (!entry.support().ok) continue;
    const auto engine = entry.make({});
    engine::CompileOptions options;
    options.weights = &model.weights;
    expect_close(run_step_on_engine(*engine, graph, model.inputs, options), exact, graph, relative,
                 "on " + std::string(entry.name));
    options.pack_io = true;
    expect_close(run_step_on_engine(*engine, graph, model.inputs, options), exact, graph, relative,
                 "packed on " + std::string(entry.name));
  }
}

INSTANTIATE_TEST_SUITE_P(Partitions, SmallLanguageModel,
                         testing::Combine(testing::Values("six", "merged", "dynamic"),
                                          testing::Values(DType::fp16, DType::fp32)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)) + "_" +
                                  dtype_name(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace anemone::test

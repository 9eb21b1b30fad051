// The gradients of a whole layer against exact derivatives of its loss: every element of all
// parameters and of x at a tiny size, and every partition, engine and element type within the
// rounding of its numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "anemone/engine/engines.h"
#include "tests/support/default_layer.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

// q_dim differs from dim, and no two sizes are equal: a transposed matrix cannot pass.
nn::ModelConfig tiny_layer(std::int64_t layers) {
  nn::ModelConfig config;
  config.dim = 6;
  config.hidden = 10;
  config.heads = 2;
  config.head_dim = 4;
  config.layers = layers;
  config.seq = 5;
  config.dtype = DType::fp32;
  return config;
}

class TinyLayer : public testing::TestWithParam<std::tuple<std::string_view, int>> {};

TEST_P(TinyLayer, EveryGradientEqualsTheDerivative) {
  const auto& [partition, layers] = GetParam();
  const LayerCase layer(tiny_layer(layers), 3);
  const nn::StepGraph graph = nn::layer_step(layer.config, partition);
  mil::ConstantSource constants(&layer.weights);
  const auto step = evaluate_step(graph, layer.inputs, constants, {.round = false});

  auto inputs = convert<Complex>(layer.inputs);
  auto weights = convert<Complex>(layer.parameters());
  // Rounding of the double arithmetic itself: one per operation and term of a sum (the widest has
  // `hidden`).
  const double roundings =
      count_operations(graph) * static_cast<double>(layer.config.hidden) * std::ldexp(1, -53);
  const auto check = [&](const std::string& name, std::vector<Complex>& values,
                         const std::vector<double>& gradient) {
    ASSERT_EQ(values.size(), gradient.size()) << name;
    std::vector<double> expected;
    for (Complex& element : values) {
      element.imag(kComplexStep);
      expected.push_back(scaled_loss_derivative(layer, graph, inputs, weights));
      element.imag(0);
    }
    EXPECT_GT(norm(expected), 0) << name;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(gradient[i], expected[i], roundings * norm(expected)) << name << "[" << i << "]";
    }
  };
  EXPECT_EQ(weights.size(), static_cast<std::size_t>(9 * layers));
  for (auto& [name, values] : weights) check(name, values, step.gradients.at(name));
  check("x", inputs.at(graph.input), step.tensors.at(graph.input_gradient));
}

INSTANTIATE_TEST_SUITE_P(Partitions, TinyLayer,
                         testing::Combine(testing::Values("six", "merged", "dynamic"),
                                          testing::Values(1, 2)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)) + "_" +
                                  std::to_string(std::get<1>(test.param));
                         });

class SmallLayer : public testing::TestWithParam<std::tuple<std::string_view, DType>> {};

TEST_P(SmallLayer, HoldsOnEveryEngine) {
  const auto& [partition, dtype] = GetParam();
  const LayerCase layer(small_layer(48, 72, 40, dtype), 4);
  const nn::StepGraph graph = nn::layer_step(layer.config, partition);
  mil::ConstantSource constants(&layer.weights);
  const auto exact = evaluate_step(graph, layer.inputs, constants, {.round = false});
  const double relative = rounding(count_operations(graph), layer.config.hidden, dtype);
  expect_close(evaluate_step(graph, layer.inputs, constants), exact, graph, relative,
               "rounded evaluation");
  for (const engine::EngineEntry& entry : engine::engines()) {
    if (!entry.support().ok) continue;
    const auto engine = entry.make({});
    engine::CompileOptions options;
    options.weights = &layer.weights;
    expect_close(run_step_on_engine(*engine, graph, layer.inputs, options), exact, graph, relative,
                 "on " + std::string(entry.name));
    options.pack_io = true;
    expect_close(run_step_on_engine(*engine, graph, layer.inputs, options), exact, graph, relative,
                 "packed on " + std::string(entry.name));
  }
}

INSTANTIATE_TEST_SUITE_P(Partitions, SmallLayer,
                         testing::Combine(testing::Values("six", "merged", "dynamic"),
                                          testing::Values(DType::fp16, DType::fp32)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)) + "_" +
                                  dtype_name(std::get<1>(test.param));
                         });

// The cuts only round: without rounding all partitions give the same numbers.
TEST(Partitions, Agree) {
  const LayerCase layer(small_layer(48, 72, 40, DType::fp16), 5);
  mil::ConstantSource constants(&layer.weights);
  const nn::StepGraph first = nn::layer_step(layer.config, "six");
  const auto expected = evaluate_step(first, layer.inputs, constants, {.round = false});
  const auto expected_rounded = evaluate_step(first, layer.inputs, constants);
  for (const nn::Partition& partition : nn::partitions()) {
    const nn::StepGraph graph = nn::layer_step(layer.config, partition.name);
    const std::string name(partition.name);
    expect_close(evaluate_step(graph, layer.inputs, constants, {.round = false}), expected, graph,
                 count_operations(graph) * std::ldexp(1, -53), name);
    // Ports are rounded to the element type, but so is every value inside a kernel: the same
    // operations, the same numbers.
    expect_close(evaluate_step(graph, layer.inputs, constants), expected_rounded, graph, 0, name);
  }
}

}  // namespace
}  // namespace anemone::test

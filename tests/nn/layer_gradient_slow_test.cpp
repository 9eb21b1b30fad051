// The gradients of the default layer at full size: derivatives of the loss in random directions,
// one for every parameter and one for x, against the backward programs in double without rounding.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <random>

#include "anemone/engine/engines.h"
#include "tests/support/default_layer.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

TEST(FullSizeLayer, DirectionalDerivatives) {
  const LayerCase layer(default_layer(DType::fp32), 6);
  const nn::StepGraph graph = nn::layer_step(layer.config, "six");
  mil::ConstantSource constants(&layer.weights);
  const auto step = evaluate_step(graph, layer.inputs, constants, {.round = false});

  auto inputs = convert<Complex>(layer.inputs);
  auto weights = convert<Complex>(layer.parameters());
  std::mt19937 random(8);
  const auto check = [&](const std::string& name, std::vector<Complex>& values,
                         const std::vector<double>& gradient) {
    double expected = 0, terms = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double sign = (random() & 1u) != 0 ? 1 : -1;
      values[i].imag(sign * kComplexStep);
      expected += sign * gradient[i];
      terms += std::abs(gradient[i]);
    }
    const auto forward =
        evaluate_step_perturbed(graph, inputs, constants, weights, StepPart::forward);
    for (Complex& value : values) value.imag(0);
    const double derivative = forward.tensors.at(graph.loss).front().imag() / kComplexStep *
                              layer.inputs.at("loss_scale").front();
    const double roundings =
        count_operations(graph) * static_cast<double>(layer.config.hidden) * std::ldexp(1, -53);
    EXPECT_NEAR(derivative, expected, roundings * terms) << name;
    EXPECT_GT(std::abs(expected), roundings * terms) << name;
  };
  for (auto& [name, values] : weights) check(name, values, step.gradients.at(name));
  check("x", inputs.at(graph.input), step.tensors.at(graph.input_gradient));
}

TEST(FullSizeLayer, EnginesAgree) {
  for (const DType dtype : {DType::fp16, DType::fp32}) {
    const LayerCase layer(default_layer(dtype), 6);
    mil::ConstantSource constants(&layer.weights);
    std::optional<StepValues<double>> exact;
    for (const nn::Partition& partition : nn::partitions()) {
      const nn::StepGraph graph = nn::layer_step(layer.config, partition.name);
      if (!exact) exact = evaluate_step(graph, layer.inputs, constants, {.round = false});
      for (const engine::EngineEntry& entry : engine::engines()) {
        if (!entry.support().ok) continue;
        const auto engine = entry.make({});
        engine::CompileOptions options;
        options.weights = &layer.weights;
        expect_close(run_step_on_engine(*engine, graph, layer.inputs, options), *exact, graph,
                     rounding(count_operations(graph), layer.config.hidden, dtype),
                     std::string(partition.name) + " on " + std::string(entry.name) + " in " +
                         dtype_name(dtype));
      }
    }
  }
}

}  // namespace
}  // namespace anemone::test

// The gradients of the default layer at full size: derivatives of the loss in random directions,
// one for every parameter and one for x, against the backward programs in double without rounding.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

constexpr double kStep = 1e-50;

TEST(FullSizeLayer, DirectionalDerivatives) {
  nn::ModelConfig config;
  config.dim = 768;
  config.hidden = 2048;
  config.heads = 12;
  config.seq = 512;
  config.dtype = DType::fp32;
  const LayerCase layer(config, 6);
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
      values[i].imag(sign * kStep);
      expected += sign * gradient[i];
      terms += std::abs(gradient[i]);
    }
    const auto forward =
        evaluate_step_perturbed(graph, inputs, constants, weights, StepPart::forward);
    for (Complex& value : values) value.imag(0);
    const double derivative = forward.tensors.at(graph.loss).front().imag() / kStep *
                              layer.inputs.at("loss_scale").front();
    const double roundings =
        count_operations(graph) * static_cast<double>(config.hidden) * std::ldexp(1, -53);
    EXPECT_NEAR(derivative, expected, roundings * terms) << name;
    EXPECT_GT(std::abs(expected), roundings * terms) << name;
  };
  for (auto& [name, values] : weights) check(name, values, step.gradients.at(name));
  check("x", inputs.at(graph.input), step.tensors.at(graph.input_gradient));
}

}  // namespace
}  // namespace anemone::test

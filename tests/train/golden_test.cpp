// Ten updates of a small layer as PyTorch makes them (golden/make_layer_golden.py), reproduced in
// fp32 on every engine and partition.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "anemone/base/file.h"
#include "anemone/compute/optimizer.h"
#include "anemone/engine/engines.h"
#include "anemone/train/data_source.h"
#include "anemone/train/optimizer.h"
#include "anemone/train/step_runner.h"
#include "tests/support/shared.h"
#include "tests/train/every_engine.h"

namespace anemone::train {
namespace {

using Json = nlohmann::json;

// The bounds are the project's promise (losses 1e-5 relative, gradients 1e-4 of the largest
// element), not what we reach.
constexpr double kLossTolerance = 1e-5, kGradientTolerance = 1e-4;
// Any power of two: fp32 has room, so it must not matter.
constexpr double kLossScale = 256;

const Json& golden_layer() {
  static const Json json =
      Json::parse(read_text_file(test::source_root() / "tests/train/golden/layer.json"));
  return json;
}

RunConfig golden_layer_config() {
  const Json& model = golden_layer().at("model");
  std::string text = "[model]\n";
  for (const auto& [key, value] : model.items())
    text += fmt::format("{} = {}\n", key, value.dump());
  return parse_run_config(text + "[engine]\nprecision = \"fp32\"\n", "golden", {});
}

void set_norms(ParameterList& parameters) {
  std::span<float> norm1 = parameters.get("l0.norm1").value,
                   norm2 = parameters.get("l0.norm2").value;
  for (std::size_t c = 0; c < norm1.size(); ++c) {
    norm1[c] = static_cast<float>(1 + 0.3 * std::sin(0.7 * static_cast<double>(c) + 1));
    norm2[c] = static_cast<float>(1 + 0.3 * std::cos(0.5 * static_cast<double>(c)));
  }
}

void expect_gradient(const std::string& name, std::span<const double> ours) {
  const auto theirs = golden_layer().at("gradients").at(name).get<std::vector<double>>();
  ASSERT_EQ(theirs.size(), ours.size()) << name;
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    largest = std::max(largest, std::abs(theirs[i]));
    worst = std::max(worst, std::abs(theirs[i] - ours[i]));
  }
  EXPECT_LE(worst, kGradientTolerance * largest) << name;
}

void expect_gradients(ParameterList& parameters, StepRunner& runner) {
  std::vector<double> values;
  const auto unscaled = [](double value) { return value / kLossScale; };
  for (const Parameter& parameter : parameters.all()) {
    values.resize(parameter.gradient.size());
    std::transform(parameter.gradient.begin(), parameter.gradient.end(), values.begin(), unscaled);
    expect_gradient(parameter.spec.name.substr(3), values);  // without "l0."
  }
  values = runner.tensor("dx");
  std::transform(values.begin(), values.end(), values.begin(), unscaled);
  expect_gradient("dx", values);
}

class Golden : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(Golden, TenUpdates) {
  const auto& [engine_name, partition] = GetParam();
  const RunConfig config = golden_layer_config();
  const auto engine = engine::make_engine(engine_name, {2});
  compute::ThreadPool pool(2);
  nn::StepGraph graph = nn::layer_step(config.model, partition);
  ParameterList parameters(graph);
  initialize_original(parameters, 42);
  set_norms(parameters);
  StepRunner runner(std::move(graph), *engine, *engine, parameters, {}, pool);
  const auto data = make_data_source(config, *engine);
  Sample sample;
  data->training(0, sample);

  const auto losses = golden_layer().at("losses").get<std::vector<double>>();
  for (std::size_t update = 0; update < losses.size(); ++update) {
    const StepResult step = runner.run(sample, kLossScale);
    ASSERT_TRUE(step.status.ok()) << step.status.message;
    EXPECT_NEAR(step.loss, losses[update], kLossTolerance * losses[update]) << "before " << update;
    if (update == 0) expect_gradients(parameters, runner);
    const AccumulatedGradient gradient = inspect_gradient(pool, parameters, 1, kLossScale);
    apply_adam(pool, parameters, config.train, gradient,
               {1, kLossScale, config.train.learning_rate, update + 1});
    compute::fill_zero(pool, parameters.gradients());
    double milliseconds = 0;
    const Status status = runner.update_weights(milliseconds);
    ASSERT_TRUE(status.ok()) << status.message;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Golden,
                         ::testing::Combine(::testing::ValuesIn(engine_names()),
                                            ::testing::ValuesIn(partition_names())),
                         [](const auto& row) {
                           return std::get<0>(row.param) + "_" + std::get<1>(row.param);
                         });

}  // namespace
}  // namespace anemone::train

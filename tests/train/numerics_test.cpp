// Training by the emulated arithmetic of the Neural Engine: it follows the exact run where loss
// scaling does its work, and fails where the device would, in the way the trainer can handle.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "anemone/engine/engines.h"
#include "anemone/train/data_source.h"
#include "anemone/train/initial_weights.h"
#include "anemone/train/step_runner.h"
#include "tests/train/run_case.h"

namespace anemone::test {
namespace {

using Json = nlohmann::json;

// The layer job, small.
const std::vector<std::string> kLayer = {"model.dim=64",         "model.hidden=96",
                                         "model.heads=2",        "model.seq=64",
                                         "data.source=original", "engine.partition=six"};

std::vector<std::string> with(std::vector<std::string> more) {
  more.insert(more.begin(), kLayer.begin(), kLayer.end());
  return more;
}

struct NumericsStep {
  // `more`: overrides; `gain`: of the weights of the last matrix.
  explicit NumericsStep(const std::string& numerics, const std::vector<std::string>& more = {},
                        float gain = 1)
      : config(tiny_config(with(more))),
        graph(nn::layer_step(config.model, "six")),
        parameters(graph) {
    engine::EngineOptions options;
    options.threads = 1;
    options.numerics = numerics;
    engine = engine::make_engine("reference", options);
    options.numerics = "exact";
    host = engine::make_engine("reference", options);
    train::initialize_original(parameters, 42);
    for (float& weight : parameters.get("l0.w2").value) weight *= gain;
    train::make_data_source(config, *host)->training(0, sample);
    train::RunnerOptions runner_options;
    runner_options.threads = 1;
    runner_options.keep_all_tensors = true;
    runner = std::make_unique<train::StepRunner>(std::move(graph), *engine, *host, parameters,
                                                 runner_options);
  }

  train::StepResult run(double loss_scale) {
    std::fill(parameters.gradients().begin(), parameters.gradients().end(), 0.0F);
    train::StepResult result = runner->run(sample, loss_scale);
    EXPECT_TRUE(result.status.ok()) << result.status.message;
    EXPECT_TRUE(runner->finish_gradients().ok());
    return result;
  }
  // Of the tensors that the kernels write, glue left out.
  bool any_tensor(bool (*is)(double)) {
    for (const char* name : {"q", "k", "v", "attn", "o", "h1", "h3", "gate", "dh1", "dh3",
                             "dx2norm", "dv", "probs", "dp", "dq", "dk", "dxnorm"}) {
      const std::vector<double> values = runner->tensor(std::string("l0.") + name);
      if (std::any_of(values.begin(), values.end(), is)) return true;
    }
    return false;
  }
  // The parameters whose gradient is nothing but zeros.
  std::set<std::string> without_gradient() {
    std::set<std::string> names;
    for (const train::Parameter& parameter : parameters.all()) {
      const auto& g = parameter.gradient;
      if (std::all_of(g.begin(), g.end(), [](float v) { return v == 0; }))
        names.insert(parameter.spec.name);
    }
    return names;
  }

  train::RunConfig config;
  nn::StepGraph graph;
  train::ParameterList parameters;
  train::Sample sample;
  std::unique_ptr<engine::Engine> engine, host;
  std::unique_ptr<train::StepRunner> runner;
};

bool is_nan(double value) { return std::isnan(value); }

// Table and function differ by 0.0034 of values around 0.5: the gate, and with it what the layer
// adds to its input, is off by 0.7 % at most. The squared error of a prediction so near to the
// target, as it is at the start, is off by twice that.
constexpr double kLossTolerance = 2 * 0.0034 / 0.5;

TEST(AneNumericsTraining, FollowsTheExactRun) {
  const std::vector<std::string> job = {"train.accumulate=1", "train.steps=12",
                                        "train.initial_loss_scale=65536"};
  RunCase exact(with(job));
  ASSERT_EQ(exact.run().outcome, train::Outcome::finished);
  const std::vector<double> wanted = exact.losses();
  ASSERT_EQ(wanted.size(), 12U);
  EXPECT_LT(wanted.back(), 0.9 * wanted.front());
  for (const char* numerics : {"ane:m1", "ane:m3", "ane:m4"}) {
    std::vector<std::string> emulated = job;
    emulated.push_back(std::string("engine.numerics=") + numerics);
    RunCase run(with(emulated));
    ASSERT_EQ(run.run().outcome, train::Outcome::finished);
    const std::vector<double> losses = run.losses();
    ASSERT_EQ(losses.size(), wanted.size());
    bool different = false;
    for (std::size_t i = 0; i < losses.size(); ++i) {
      EXPECT_NEAR(losses[i], wanted[i], kLossTolerance * wanted[i]) << numerics << " " << i;
      different = different || losses[i] != wanted[i];
    }
    EXPECT_TRUE(different);
    EXPECT_TRUE(run.said(std::string("numbers ") + numerics)) << run.messages.front();
  }
}

// Without a loss scale the products of gradients and weights are below the smallest normal number:
// nothing goes back through a matrix. Only the last matrix of each block keeps a gradient, since
// the host multiplies it.
TEST(AneNumericsTraining, UnscaledGradientsVanish) {
  const std::vector<std::string> size = {"model.seq=256"};  // |dy| < 2^-14: subnormal already
  NumericsStep m4("ane:m4", size), exact("exact", size), m5("ane:m5", size);
  EXPECT_TRUE(m4.run(1).finite);
  exact.run(1);
  m5.run(1);
  EXPECT_EQ(exact.without_gradient(), std::set<std::string>());
  EXPECT_EQ(m5.without_gradient(), std::set<std::string>());
  EXPECT_EQ(m4.without_gradient(), (std::set<std::string>{"l0.norm1", "l0.norm2", "l0.w1", "l0.w3",
                                                          "l0.wk", "l0.wq", "l0.wv"}));
  m4.run(65536);
  EXPECT_EQ(m4.without_gradient(), std::set<std::string>());
}

// A loss scale that takes products beyond 2^15 but not to the end of fp16.
TEST(AneNumericsTraining, ProductsOverflowBeforeExactOnesDo) {
  constexpr double kScale = 1 << 24;
  NumericsStep m4("ane:m4"), exact("exact");
  exact.run(kScale);
  m4.run(kScale);
  const std::vector<double> wanted = exact.runner->tensor("l0.dp"), dp = m4.runner->tensor("l0.dp");
  int overflows = 0;
  for (std::size_t i = 0; i < dp.size(); ++i) {
    EXPECT_TRUE(std::isfinite(wanted[i]));
    // Of the two steps only the gate's tables differ in front of here: by 1 %, see above.
    if (std::abs(wanted[i]) > 32768 * 1.01) {
      EXPECT_TRUE(std::isinf(dp[i])) << wanted[i];
      ++overflows;
    } else if (std::abs(wanted[i]) < 32768 * 0.99) {
      EXPECT_TRUE(std::isfinite(dp[i])) << wanted[i];
    }
  }
  EXPECT_GT(overflows, 0);
  // However far: never a NaN. (At last all of a row is infinite, with both signs: it gives zeros.)
  for (double scale = kScale; scale < 1e12; scale *= 8) {
    m4.run(scale);
    EXPECT_FALSE(m4.any_tensor(is_nan)) << scale;
  }
  exact.run(1e12);
  EXPECT_TRUE(exact.any_tensor(is_nan));
}

// A layer whose outputs are between 2^15 and 65504 trains in exact arithmetic; on the device the
// loss is infinite.
TEST(AneNumericsTraining, DivergesWhereExactArithmeticDoesNot) {
  constexpr double kScale = 0x1p-16;  // its gradients are large
  const auto largest = [](NumericsStep& step) {
    double most = 0;
    for (const double value : step.runner->tensor("l0.ffn")) most = std::max(most, std::abs(value));
    return most;
  };
  NumericsStep plain("exact");
  plain.run(1);
  const double gain = 45000 / largest(plain);
  NumericsStep exact("exact", {}, static_cast<float>(gain));
  EXPECT_TRUE(exact.run(kScale).finite);
  EXPECT_GT(largest(exact), 32768 * 1.01);
  for (const char* ane : {"ane:m1", "ane:m2", "ane:m4", "ane:m5"}) {
    NumericsStep emulated(ane, {}, static_cast<float>(gain));
    const train::StepResult step = emulated.run(kScale);
    EXPECT_FALSE(step.finite) << ane;
    EXPECT_TRUE(std::isinf(step.loss)) << ane << " " << step.loss;
    EXPECT_EQ(emulated.runner->first_non_finite(), "l0.ffn, written by l0.fwd_ffn") << ane;
  }
}

TEST(AneNumericsTraining, TheGuardSeesInfinitiesAndZeros) {
  const std::vector<std::string> job = {"train.accumulate=1", "train.steps=6",
                                        "data.source=original", "engine.numerics=ane:m4"};
  std::vector<std::string> high = job, low = job;
  high.push_back("train.initial_loss_scale=16777216");
  low.push_back("train.initial_loss_scale=1e-7");
  RunCase overflow(high), underflow(low);
  ASSERT_EQ(overflow.run().outcome, train::Outcome::finished);
  ASSERT_EQ(underflow.run().outcome, train::Outcome::finished);
  const Json above = overflow.updates().front(), below = underflow.updates().front();
  EXPECT_EQ(above.at("skipped").get<std::string>().rfind("non-finite", 0), 0U) << above;
  EXPECT_EQ(overflow.updates()[1].at("loss_scale"), 8388608);
  EXPECT_EQ(below.at("skipped"), "the gradient is all zero");
  EXPECT_EQ(underflow.updates()[1].at("loss_scale"), 2e-7);
}

}  // namespace
}  // namespace anemone::test

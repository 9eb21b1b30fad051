// A language model's step through the runner: PyTorch's ten updates of a small one
// (golden/make_language_model_golden.py) on every engine and partition, a vocabulary in parts
// against the reference evaluation, padding, and validation.
#include "anemone/nn/language_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "anemone/base/file.h"
#include "anemone/base/random.h"
#include "anemone/compute/optimizer.h"
#include "anemone/engine/engines.h"
#include "anemone/train/optimizer.h"
#include "anemone/train/step_runner.h"
#include "tests/support/shared.h"
#include "tests/support/step_evaluator.h"
#include "tests/train/every_engine.h"
#include "tests/train/fake_engine.h"

namespace anemone::train {
namespace {

using Json = nlohmann::json;

// The bounds are the project's promise: logits 1e-4, losses 1e-5, gradients 1e-4 of the largest
// element. Any power of two as loss scale: fp32 has room, so it must not matter.
constexpr double kLogits = 1e-4, kLoss = 1e-5, kGradient = 1e-4;
constexpr double kModelLossScale = 256;

const Json& golden_model() {
  static const Json json =
      Json::parse(read_text_file(test::source_root() / "tests/train/golden/language_model.json"));
  return json;
}

RunConfig golden_model_config() {
  std::string text = "[model]\n";
  for (const auto& [key, value] : golden_model().at("model").items())
    text += fmt::format("{} = {}\n", key, value.dump());
  const Json& adam = golden_model().at("adam");
  text += fmt::format(
      "[train]\nbeta1 = {}\nbeta2 = {}\nepsilon = {}\nweight_decay = {}\ngrad_clip = {}\n",
      adam.at("beta1").dump(), adam.at("beta2").dump(), adam.at("eps").dump(),
      adam.at("decay").dump(), adam.at("clip").dump());
  return parse_run_config(text + "[engine]\nprecision = \"fp32\"\n", "golden", {});
}

// The generator's recipe.
void set_golden_weights(ParameterList& parameters) {
  Drand48 random(42);
  int norms = 0;
  for (Parameter& parameter : parameters.all()) {
    const bool is_norm = parameter.spec.shape.rank() == 1;
    const double scale = is_norm || parameter.spec.name == "embedding"
                             ? 1
                             : 1 / std::sqrt(static_cast<double>(parameter.spec.shape[1]));
    for (std::size_t i = 0; i < parameter.value.size(); ++i) {
      const double value = is_norm ? 1 + 0.3 * std::sin(0.7 * static_cast<double>(i) + norms)
                                   : scale * random.uniform();
      parameter.value[i] = static_cast<float>(value);
    }
    norms += is_norm ? 1 : 0;
  }
}

template <class Values>
double error_of(const Values& ours, const std::vector<double>& theirs) {
  EXPECT_EQ(ours.size(), theirs.size());
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    largest = std::max(largest, std::abs(theirs[i]));
    worst = std::max(worst, std::abs(theirs[i] - static_cast<double>(ours[i])));
  }
  return worst / largest;
}

class LanguageModelGolden
    : public ::testing::TestWithParam<std::tuple<std::string, std::string, bool>> {
 protected:
  void expect_first_step(StepRunner& runner, ParameterList& parameters) {
    EXPECT_LE(error_of(runner.tensor("logits0"), golden_model().at("logits")), kLogits);
    for (const Parameter& parameter : parameters.all()) {
      std::vector<double> ours(parameter.gradient.begin(), parameter.gradient.end());
      for (double& value : ours) value /= kModelLossScale;
      EXPECT_LE(error_of(ours, golden_model().at("gradients").at(parameter.spec.name)), kGradient)
          << parameter.spec.name;
    }
  }
};

TEST_P(LanguageModelGolden, TenUpdates) {
  const auto& [engine_name, partition, beside_host] = GetParam();
  const RunConfig config = golden_model_config();
  const auto host = engine::make_engine(engine_name, {2});
  test::FakeEngine device(*host);
  device.change_traits().runs_on_host = !beside_host;
  device.change_traits().packed_io = beside_host;
  compute::ThreadPool pool(2);
  nn::StepGraph graph = nn::language_model_step(config.model, partition);
  ParameterList parameters(graph);
  set_golden_weights(parameters);
  RunnerOptions options;
  options.keep_all_tensors = true;
  StepRunner runner(std::move(graph), device, *host, parameters, options, pool);
  for (std::size_t update = 0; update < 10; ++update) {
    Sample sample;
    sample.tokens = golden_model().at("tokens")[update].get<std::vector<std::uint32_t>>();
    const StepResult step = runner.run(sample, kModelLossScale);
    ASSERT_TRUE(step.status.ok()) << step.status.message;
    ASSERT_TRUE(runner.finish_gradients().ok());
    EXPECT_TRUE(step.finite);
    EXPECT_EQ(step.targets, config.model.seq);
    EXPECT_NEAR(step.loss, golden_model().at("losses")[update], kLoss * step.loss) << update;
    if (update == 0) expect_first_step(runner, parameters);
    const AccumulatedGradient gradient = inspect_gradient(pool, parameters, 1, kModelLossScale);
    EXPECT_NEAR(gradient.norm, golden_model().at("gradient_norms")[update],
                kGradient * gradient.norm);
    apply_adam(pool, parameters, config.train, gradient,
               {1, kModelLossScale, golden_model().at("rates")[update], update + 1});
    compute::fill_zero(pool, parameters.gradients());
    double milliseconds = 0;
    ASSERT_TRUE(runner.update_weights(milliseconds).ok());
  }
  for (const Parameter& parameter : parameters.all())
    EXPECT_LE(error_of(parameter.value, golden_model().at("weights").at(parameter.spec.name)),
              kGradient)
        << parameter.spec.name;
}

INSTANTIATE_TEST_SUITE_P(All, LanguageModelGolden,
                         ::testing::Combine(::testing::ValuesIn(engine_names()),
                                            ::testing::ValuesIn(partition_names()),
                                            ::testing::Bool()),
                         [](const auto& row) {
                           return fmt::format("{}_{}{}", std::get<0>(row.param),
                                              std::get<1>(row.param),
                                              std::get<2>(row.param) ? "_beside_host" : "");
                         });

// A small model with a vocabulary in parts.
struct LanguageModelCase {
  explicit LanguageModelCase(std::int64_t vocab = 8200, bool tied = true, int threads = 2)
      : pool(threads) {
    config.dim = 80;
    config.hidden = 24;
    config.heads = 4;
    config.kv_heads = 2;
    config.layers = 2;
    config.seq = 9;
    config.vocab = vocab;
    config.tied = tied;
    config.rope = nn::Rope::pairs;
    config.dtype = DType::fp32;
    config.resolve();
    graph = nn::language_model_step(config, "merged");
    parameters = std::make_unique<ParameterList>(graph);
    initialize_by_specs(*parameters, 3);
    SplitMix64 random(5);
    for (std::int64_t i = 0; i <= config.seq; ++i)
      sample.tokens.push_back(
          static_cast<std::uint32_t>(random.next() % static_cast<std::uint64_t>(vocab)));
    sample.tokens[2] = sample.tokens[5];  // a token that occurs twice
    engine = engine::make_engine("cpu", {threads});
  }
  StepRunner& run(double loss_scale = 1, bool accumulate = true) {
    if (!runner)
      runner =
          std::make_unique<StepRunner>(graph, *engine, *engine, *parameters, RunnerOptions{}, pool);
    result = runner->run(sample, loss_scale, accumulate);
    EXPECT_TRUE(result.status.ok()) << result.status.message;
    EXPECT_TRUE(runner->finish_gradients().ok());
    return *runner;
  }
  std::vector<float> gradients() const {
    const auto all = parameters->gradients();
    return {all.begin(), all.end()};
  }

  compute::ThreadPool pool;
  nn::ModelConfig config;
  nn::StepGraph graph;
  std::unique_ptr<ParameterList> parameters;
  Sample sample;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<StepRunner> runner;
  StepResult result;
};

TEST(LanguageModelStep, PartsOfTheVocabularyAgainstTheReference) {
  for (const bool tied : {true, false}) {
    LanguageModelCase c(8200, tied);
    ASSERT_EQ(c.graph.parameter_rows.size(), 2U);
    c.sample.tokens[3] = 8199;  // in the last part
    c.sample.tokens[4] = 0;
    c.run(16);
    mil::TensorMap<double> inputs;
    inputs["tokens"].assign(c.sample.tokens.begin(), c.sample.tokens.end());
    inputs["loss_scale"] = {16};
    mil::ConstantSource constants(&c.parameters->weights());
    const auto exact = test::evaluate_step(c.graph, inputs, constants, {.round = false});
    EXPECT_NEAR(c.result.loss, exact.tensors.at("loss").front(), kLoss * c.result.loss);
    for (const Parameter& parameter : c.parameters->all())
      EXPECT_LE(error_of(parameter.gradient, exact.gradients.at(parameter.spec.name)), kGradient)
          << parameter.spec.name << (tied ? ", tied" : "");
  }
}

TEST(LanguageModelStep, IsTheSameForAnyNumberOfThreads) {
  LanguageModelCase one(8200, true, 1), three(8200, true, 3);
  one.run();
  three.run();
  EXPECT_EQ(one.result.loss, three.result.loss);
  EXPECT_EQ(one.gradients(), three.gradients());
}

// A padded sequence is the shorter sequence: nothing of the padding counts.
TEST(LanguageModelStep, PaddingDoesNotCount) {
  LanguageModelCase padded(50), whole(50), other(50);
  for (std::size_t i = 6; i < padded.sample.tokens.size(); ++i) {
    padded.sample.tokens[i] = Sample::kNoToken;
    other.sample.tokens[i] = static_cast<std::uint32_t>(i);  // other tokens, not counted either
  }
  padded.run(8);
  whole.run(8);
  EXPECT_EQ(padded.result.targets, 5);
  EXPECT_NE(padded.result.loss, whole.result.loss);
  EXPECT_TRUE(padded.result.finite);
  // The same positions as a model of that length.
  LanguageModelCase brief(50);
  brief.config.seq = 5;
  brief.graph = nn::language_model_step(brief.config, "merged");
  brief.sample.tokens.resize(6);
  brief.run(8);
  EXPECT_NEAR(padded.result.loss, brief.result.loss, 1e-6 * brief.result.loss);
  const std::vector<float> a = padded.gradients(), b = brief.gradients();
  EXPECT_LE(error_of(a, std::vector<double>(b.begin(), b.end())), 1e-5);
}

TEST(LanguageModelStep, ValidationEndsWithTheLoss) {
  LanguageModelCase trained(50), validated(50), forward(50);
  trained.run();
  validated.run(1, /*accumulate=*/false);
  EXPECT_EQ(trained.result.loss, validated.result.loss);
  for (const float value : validated.gradients()) ASSERT_EQ(value, 0);
  // The graph that has no backward pass, with a list that holds no gradients.
  forward.graph = nn::language_model_forward(forward.config, "merged");
  forward.parameters = std::make_unique<ParameterList>(forward.graph, Holds::values);
  initialize_by_specs(*forward.parameters, 3);
  forward.run(1, /*accumulate=*/false);
  EXPECT_EQ(forward.result.loss, trained.result.loss);
  EXPECT_LT(forward.runner->memory().surfaces, trained.runner->memory().surfaces);
}

TEST(LanguageModelStep, NonFiniteWeightsAreFound) {
  LanguageModelCase c(50);
  c.run();
  EXPECT_TRUE(c.result.finite);
  EXPECT_EQ(c.runner->first_non_finite(), "");
  c.parameters->get("l1.w1").value[0] = INFINITY;
  double milliseconds = 0;
  ASSERT_TRUE(c.runner->update_weights(milliseconds).ok());
  c.run();
  EXPECT_FALSE(c.result.finite);
  EXPECT_NE(c.runner->first_non_finite(), "") << "after a loss of " << c.result.loss;
}

}  // namespace
}  // namespace anemone::train

// Steps side by side: the numbers depend on the number of lanes only, and an update is done whole
// or not at all.
#include "anemone/train/step_team.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "anemone/engine/engines.h"
#include "anemone/nn/language_model.h"
#include "tests/train/fake_engine.h"
#include "tests/train/run_case.h"

namespace anemone::train {
namespace {

using test::RunCase;

RunCase lanes_case(int lanes, int threads, const std::vector<std::string>& more = {}) {
  std::vector<std::string> overrides = {fmt::format("train.lanes={}", lanes),
                                        fmt::format("engine.threads={}", threads),
                                        "train.accumulate=5"};
  overrides.insert(overrides.end(), more.begin(), more.end());
  return RunCase(overrides);
}

TEST(StepTeam, TheNumberOfThreadsChangesNoBit) {
  RunCase one = lanes_case(4, 1);
  ASSERT_EQ(one.run().outcome, Outcome::finished);
  for (const int threads : {2, 3, 6}) {
    RunCase other = lanes_case(4, threads);
    ASSERT_EQ(other.run().outcome, Outcome::finished);
    EXPECT_TRUE(other.said(fmt::format("in 4 lanes, {} at a time", std::min(threads, 4))));
    EXPECT_EQ(other.losses(), one.losses()) << threads;
    EXPECT_EQ(other.weights(), one.weights()) << threads;
  }
}

// The same sums in another order.
TEST(StepTeam, LanesTrainAsOneStepAfterAnother) {
  RunCase plain = lanes_case(1, 1), lanes = lanes_case(3, 2), many = lanes_case(100, 2);
  plain.run();
  lanes.run();
  many.run();
  EXPECT_TRUE(many.said("in 5 lanes"));
  for (RunCase* other : {&lanes, &many}) {
    const std::vector<double> expected = plain.losses(), got = other->losses();
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], expected[i], 2e-3 * expected[i]) << i;
    EXPECT_EQ(other->lines("validation").size(), plain.lines("validation").size());
  }
}

// The first step of an update sees the weights of the one before, whatever the lanes.
TEST(StepTeam, LossesBeforeTheFirstUpdateAreTheSameBits) {
  RunCase plain = lanes_case(1, 1), lanes = lanes_case(5, 2);
  plain.run();
  lanes.run();
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(lanes.losses()[i], plain.losses()[i]) << i;
}

TEST(StepTeam, ASignalLeavesAWholeUpdate) {
  RunCase whole = lanes_case(2, 2);
  whole.run();
  RunCase parts = lanes_case(2, 2);
  // After 5 and 10 of 16 steps: with lanes, a run ends where an update does.
  EXPECT_EQ(parts.run_until(3, false).step, 5U);
  EXPECT_EQ(parts.run_until(7, true).step, 10U);
  ASSERT_EQ(parts.resume().outcome, Outcome::finished);
  EXPECT_EQ(parts.losses(), whole.losses());
  EXPECT_EQ(parts.weights(), whole.weights());
}

// A signal between two steps of an update: none of its steps is done.
TEST(StepTeam, ASignalWithinAnUpdateGivesItUp) {
  RunCase whole = lanes_case(2, 1);
  whole.run();
  RunCase parts = lanes_case(2, 1);
  int asked = 0;
  parts.options.pending_signal = [&asked] { return ++asked > 14 ? 2 : 0; };
  const TrainResult result = parts.run();
  EXPECT_EQ(result.outcome, Outcome::interrupted);
  EXPECT_EQ(result.step % 5, 0U);
  EXPECT_EQ(parts.losses().size(), result.step);
  parts.options.pending_signal = nullptr;
  ASSERT_EQ(parts.resume().outcome, Outcome::finished);
  EXPECT_EQ(parts.losses(), whole.losses());
  EXPECT_EQ(parts.weights(), whole.weights());
}

TEST(StepTeam, CheckpointsBySteps) {
  RunCase lanes = lanes_case(2, 1, {"train.checkpoint_steps=9", "train.keep=9", "data.held_out=0"});
  lanes.run();
  std::vector<std::string> steps;
  for (const auto& entry : std::filesystem::directory_iterator(lanes.options.out / "checkpoints"))
    if (entry.is_directory()) steps.push_back(entry.path().filename().string());
  std::sort(steps.begin(), steps.end());
  ASSERT_EQ(steps.size(), 2U);  // step 9 is done at 10; and the end
  EXPECT_NE(steps[0].find("10"), std::string::npos) << steps[0];
  EXPECT_NE(steps[1].find("16"), std::string::npos) << steps[1];
}

struct FailingTeam {
  explicit FailingTeam(int lanes) {
    fake.on_run = [this](const std::string&, int) {
      if (allowed-- == 0) return Status::failure("out of luck");
      return Status{};
    };
    team =
        std::make_unique<StepTeam>(graph, fake, *inner, parameters, pool, RunnerOptions{}, lanes);
    for (Sample& sample : samples) {
      sample.x.assign(12 * 7, 0.5F);
      sample.target.assign(12 * 7, 0.25F);
    }
    initialize_original(parameters, 42);
    double milliseconds = 0;
    EXPECT_TRUE(team->update_weights(milliseconds).ok());
  }
  bool gradient_is_zero() {
    for (const float value : parameters.gradients())
      if (value != 0) return false;
    return true;
  }

  std::unique_ptr<engine::Engine> inner = engine::make_engine("reference", {1});
  test::FakeEngine fake{*inner};
  compute::ThreadPool pool{1};
  nn::StepGraph graph = nn::model_step(test::tiny_config().model, "six");
  ParameterList parameters{graph};
  int allowed = 1 << 30;
  std::unique_ptr<StepTeam> team;
  std::vector<Sample> samples = std::vector<Sample>(4);
};

TEST(StepTeam, AStepThatFailsAddsNothing) {
  FailingTeam t(2);
  const std::size_t before = static_cast<std::size_t>(t.allowed);
  ASSERT_EQ(t.team->train(t.samples, 1).size(), 4U);
  const int runs = static_cast<int>(before) - t.allowed;
  EXPECT_FALSE(t.gradient_is_zero());
  for (const int allowed : {0, 1, runs / 2 + 1, runs - 1}) {
    std::fill(t.parameters.gradients().begin(), t.parameters.gradients().end(), 0.0F);
    t.allowed = allowed;
    const auto steps = t.team->train(t.samples, 1);
    ASSERT_EQ(steps.size(), 1U);
    EXPECT_NE(steps[0].result.status.message.find("out of luck"), std::string::npos);
    EXPECT_TRUE(t.gradient_is_zero());
  }
  t.allowed = runs;
  EXPECT_EQ(t.team->train(t.samples, 1).size(), 4U);
  EXPECT_FALSE(t.gradient_is_zero());
}

TEST(StepTeam, SaysWhereANonFiniteNumberWas) {
  for (const int lanes : {1, 2}) {
    FailingTeam t(lanes);
    t.samples[3].x[5] = INFINITY;
    const auto steps = t.team->train(t.samples, 1);
    ASSERT_EQ(steps.size(), 4U);
    EXPECT_TRUE(steps[2].result.finite);
    EXPECT_FALSE(steps[3].result.finite);
    EXPECT_NE(t.team->first_non_finite(steps[3]).find("the sample itself"), std::string::npos);
  }
}

TEST(StepTeam, LanesByTheModelsSize) {
  const auto lanes = [](const std::vector<std::string>& overrides, std::size_t bytes) {
    return lanes_of(test::tiny_config(overrides), bytes);
  };
  constexpr std::size_t kMegabyte = 1 << 20;
  EXPECT_EQ(lanes({"train.accumulate=16"}, kMegabyte), 1);  // layers alone
  const std::string model = "model.vocab=256";
  EXPECT_EQ(lanes({model, "train.accumulate=16"}, kMegabyte), 8);
  EXPECT_EQ(lanes({model, "train.accumulate=16"}, 40 * kMegabyte), 3);
  EXPECT_EQ(lanes({model, "train.accumulate=16"}, 400 * kMegabyte), 1);
  EXPECT_EQ(lanes({model, "train.accumulate=2"}, kMegabyte), 2);
  EXPECT_EQ(lanes({model, "train.accumulate=1"}, kMegabyte), 1);
  EXPECT_EQ(lanes({"train.accumulate=16", "train.lanes=12"}, 400 * kMegabyte), 12);
  EXPECT_EQ(lanes({"train.accumulate=3", "train.lanes=12"}, 400 * kMegabyte), 3);
}

}  // namespace
}  // namespace anemone::train

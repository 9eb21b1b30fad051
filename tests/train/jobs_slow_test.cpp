// The shipped jobs do what they promise: the default job's losses, and a teacher that is learned.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/shared.h"
#include "tests/train/run_case.h"

namespace anemone::test {
namespace {

using train::Outcome;

train::RunConfig shipped(const char* name, const std::vector<std::string>& overrides) {
  return train::load_run_config(
      source_root() / "configs" / name,
      std::vector<train::ConfigOverride>(overrides.begin(), overrides.end()));
}

// The loss before updates 0, 1, 2, 3 with correct gradients, in fp64 (golden/make_layer_golden.py
// --full).
constexpr double kLosses[] = {0.01369767, 0.01020141, 0.00725311, 0.00498273};

void expect_losses(const std::vector<std::string>& overrides, double tolerance) {
  RunCase run;
  std::vector<std::string> all = {"train.accumulate=1", "train.steps=4",
                                  "train.checkpoint_steps=0"};
  all.insert(all.end(), overrides.begin(), overrides.end());
  run.options.config = shipped("layer.toml", all);
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  const std::vector<double> losses = run.losses();
  ASSERT_EQ(losses.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(losses[i], kLosses[i], tolerance * kLosses[i]) << "before update " << i;
}

TEST(DefaultJob, LossesInFp16) {
  // The promise: within 0.1 %.
  for (const char* partition : {"six", "merged", "dynamic"})
    expect_losses({std::string("engine.partition=") + partition}, 1e-3);
}

TEST(DefaultJob, LossesInFp32) {
  // The stored losses have seven digits: half a unit of the last one of the smallest is 1e-6 of it.
  for (const char* partition : {"six", "merged", "dynamic"})
    expect_losses({"engine.precision=fp32", std::string("engine.partition=") + partition}, 2e-6);
}

TEST(DefaultJob, PartialUpdatesAndAccumulationGiveTheSameSequence) {
  RunCase run;
  run.options.config = shipped("layer.toml", {"train.accumulate=3", "train.steps=10"});
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  const std::vector<double> losses = run.losses();
  for (std::size_t step = 0; step < 10; ++step)
    EXPECT_NEAR(losses[step], kLosses[step / 3], 1e-3 * kLosses[step / 3]) << step;
}

std::vector<double> losses_of_updates(const std::string& precision, int updates) {
  RunCase run;
  run.options.config = shipped(
      "layer.toml", {"train.accumulate=1", "train.checkpoint_steps=0",
                     "train.steps=" + std::to_string(updates), "engine.precision=" + precision});
  EXPECT_EQ(run.run().outcome, Outcome::finished);
  return run.losses();
}

// 20 updates, in which the loss falls to a fortieth: rounded operands take the same course.
TEST(DefaultJob, LossCurvesOfAllPrecisionsAreOne) {
  constexpr int kUpdates = 20;
  const std::vector<double> exact = losses_of_updates("fp32", kUpdates);
  ASSERT_EQ(exact.size(), std::size_t{kUpdates});
  EXPECT_LT(exact.back(), exact.front() / 10);
  for (const auto& [precision, tolerance] : {std::pair("fp16", 1e-3), std::pair("bf16", 5e-3)}) {
    const std::vector<double> losses = losses_of_updates(precision, kUpdates);
    ASSERT_EQ(losses.size(), exact.size());
    for (std::size_t i = 0; i < losses.size(); ++i)
      EXPECT_NEAR(losses[i], exact[i], tolerance * exact[i]) << precision << ", update " << i;
  }
}

TEST(Teacher, TrainingAndValidationLossFallByMoreThanHalf) {
  RunCase run;
  run.options.config = shipped("teacher.toml", {});
  const train::TrainResult result = run.run();
  ASSERT_EQ(result.outcome, Outcome::finished);
  EXPECT_LT(*result.report.last_validation_loss, *result.report.first_validation_loss / 2);
  const std::vector<double> losses = run.losses();
  constexpr std::ptrdiff_t kEpoch = 64;
  const double first = std::accumulate(losses.begin(), losses.begin() + kEpoch, 0.0);
  const double last = std::accumulate(losses.end() - kEpoch, losses.end(), 0.0);
  EXPECT_LT(last, first / 2);
}

}  // namespace
}  // namespace anemone::test

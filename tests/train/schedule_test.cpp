// The learning rate of every update, from its formula, and a run that follows it.
#include "anemone/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "anemone/base/error.h"
#include "tests/train/run_case.h"

namespace anemone::train {
namespace {

TrainConfig config_of(const std::string& schedule, std::int64_t warmup, std::int64_t updates) {
  TrainConfig config;
  config.schedule = schedule;
  config.warmup = warmup;
  config.accumulate = 4;
  config.steps = 4 * updates;
  config.learning_rate = 8;  // powers of two: the expected values are exact
  config.min_learning_rate_fraction = 0.25;
  return config;
}

TEST(Schedule, ConstantIsConstant) {
  const TrainConfig config = config_of("constant", 0, 10);
  for (const std::uint64_t update : {0, 5, 9, 10, 1000})
    EXPECT_EQ(learning_rate(config, update), 8);
}

TEST(Schedule, WarmUpRisesInEqualSteps) {
  for (const std::string_view name : schedule_names()) {
    const TrainConfig config = config_of(std::string(name), 4, 20);
    EXPECT_EQ(learning_rate(config, 0), 2);
    EXPECT_EQ(learning_rate(config, 1), 4);
    EXPECT_EQ(learning_rate(config, 3), 8);
    EXPECT_EQ(learning_rate(config, 4), 8) << name;  // the decay begins
  }
}

TEST(Schedule, LinearFallsToItsShare) {
  const TrainConfig config = config_of("linear", 4, 20);
  EXPECT_EQ(learning_rate(config, 12), 8 * 0.625);  // half way
  EXPECT_EQ(learning_rate(config, 20), 2);
  EXPECT_EQ(learning_rate(config, 2000), 2);
}

TEST(Schedule, CosineFallsToItsShare) {
  const TrainConfig config = config_of("cosine", 4, 20);
  const double eps = 8 * std::ldexp(1.0, -52);
  EXPECT_NEAR(learning_rate(config, 8), 8 * (0.25 + 0.75 * (0.5 + std::sqrt(0.125))), eps);
  EXPECT_NEAR(learning_rate(config, 12), 8 * 0.625, eps);
  EXPECT_EQ(learning_rate(config, 20), 2);
  for (std::uint64_t update = 5; update < 25; ++update)
    EXPECT_LE(learning_rate(config, update), learning_rate(config, update - 1));
}

TEST(Schedule, AWarmUpThatNeverEndsIsNoDivisionByZero) {
  for (const std::string_view name : schedule_names()) {
    const TrainConfig config = config_of(std::string(name), 30, 20);
    EXPECT_EQ(learning_rate(config, 19), 8 * 20 / 30.0);
    EXPECT_TRUE(std::isfinite(learning_rate(config, 31)));
    EXPECT_TRUE(std::isfinite(learning_rate(config_of(std::string(name), 20, 20), 20)));
  }
}

TEST(Schedule, TheLastUpdateMayHaveFewerSteps) {
  TrainConfig config;
  config.accumulate = 3;
  config.steps = 16;
  EXPECT_EQ(total_updates(config), 6U);
  config.steps = 15;
  EXPECT_EQ(total_updates(config), 5U);
}

TEST(Schedule, UnknownOnesAreRefused) {
  EXPECT_THROW(learning_rate(config_of("square", 0, 1), 0), Error);
  EXPECT_THROW(test::tiny_config({"train.schedule=square"}), Error);
  EXPECT_THROW(test::tiny_config({"train.min_learning_rate_fraction=1.5"}), Error);
}

std::vector<double> rates_of(const test::RunCase& run) {
  std::vector<double> rates;
  for (const std::string& line : run.lines("update"))
    rates.push_back(nlohmann::json::parse(line).at("learning_rate").get<double>());
  return rates;
}

TEST(Schedule, ARunFollowsItAndItMatters) {
  const std::vector<std::string> keys = {"train.schedule=linear", "train.warmup=2",
                                         "train.learning_rate=0.01"};
  test::RunCase scheduled(keys), constant({"train.learning_rate=0.01"});
  ASSERT_EQ(scheduled.run().outcome, Outcome::finished);
  ASSERT_EQ(constant.run().outcome, Outcome::finished);
  const TrainConfig config = test::tiny_config(keys).train;
  const std::vector<double> rates = rates_of(scheduled);
  ASSERT_EQ(rates.size(), 6U);
  for (std::size_t update = 0; update < rates.size(); ++update)
    EXPECT_EQ(rates[update], learning_rate(config, update));
  EXPECT_NE(scheduled.weights(), constant.weights());
}

TEST(Schedule, OtherStepsAfterAResumeAreSaid) {
  test::RunCase run({"train.schedule=cosine"});
  ASSERT_EQ(run.run_until(6, false).outcome, Outcome::interrupted);
  run.options.config = test::tiny_config({"train.schedule=cosine", "train.steps=30"});
  ASSERT_EQ(run.resume().outcome, Outcome::finished);
  EXPECT_TRUE(run.said("cosine to 0 % at update 6; it is now 0.001, cosine to 0 % at update 10"))
      << run.messages[0];
  test::RunCase constant;
  ASSERT_EQ(constant.run_until(6, false).outcome, Outcome::interrupted);
  constant.options.config = test::tiny_config({"train.steps=30"});
  ASSERT_EQ(constant.resume().outcome, Outcome::finished);
  EXPECT_FALSE(constant.said("learning rate was"));
}

}  // namespace
}  // namespace anemone::train

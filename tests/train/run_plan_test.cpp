// A plan says what the run then does: its sizes are those that a real run allocates, writes and
// reports.
#include "anemone/train/run_plan.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "anemone/train/checkpoint.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/run_case.h"

namespace anemone::test {
namespace {

namespace fs = std::filesystem;
using train::Outcome;

train::RunPlan plan_of(const RunCase& run, const fs::path& out) {
  train::TrainerOptions options = run.options;
  options.out = out;
  return train::plan_run(options);
}

void expect_error(const std::function<void()>& action, const std::string& part) {
  try {
    action();
    ADD_FAILURE() << "no error about " << part;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

std::uint64_t bytes_of(const fs::path& folder) {
  std::uint64_t sum = 0;
  for (const auto& entry : fs::directory_iterator(folder)) sum += entry.file_size();
  return sum;
}

void expect_same(const train::RunPlan& plan, const train::Report& report) {
  EXPECT_EQ(plan.parameters, report.parameters);
  EXPECT_EQ(plan.memory.weights + plan.memory.gradients + plan.memory.moments,
            report.parameter_bytes);
  EXPECT_EQ(plan.memory.step.surfaces, report.surface_bytes);
  EXPECT_EQ(plan.memory.step.engine(), report.engine_bytes);
  EXPECT_EQ(plan.flops.total(), report.flops.total());
  EXPECT_EQ(plan.executed_flops, report.executed_flops);
  EXPECT_EQ(plan.course.steps, report.steps);
  EXPECT_EQ(plan.course.updates, report.updates);
  EXPECT_EQ(plan.course.tokens_per_step * plan.course.steps, report.tokens);
  EXPECT_EQ(plan.compiles.in_all, report.compiles);
  EXPECT_EQ(plan.compiles.restarts, report.restarts);
}

class Plan : public ::testing::TestWithParam<std::vector<std::string>> {};

TEST_P(Plan, SaysWhatTheRunReports) {
  RunCase run(GetParam());
  const TemporaryDirectory folder;
  const train::RunPlan plan = plan_of(run, folder.path() / "none");
  EXPECT_FALSE(fs::exists(folder.path() / "none"));
  ASSERT_GT(run.run_to_the_end(), 0);
  const train::TrainResult result = run.resume();  // nothing is left but the report
  ASSERT_EQ(result.outcome, Outcome::finished);
  train::Report report = result.report;
  report.restarts -= 1;
  report.compiles -= plan.compiles.at_start;
  expect_same(plan, report);
  EXPECT_EQ(run.lines("validation").size(), plan.course.validations);
  const std::uint64_t written = bytes_of(run.options.out / "checkpoints/step-00000016");
  EXPECT_LE(written, plan.checkpoints.bytes);
  EXPECT_GE(written + (std::uint64_t{1} << 17), plan.checkpoints.bytes);  // whole blocks
  EXPECT_GT(plan.seconds, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Configs, Plan,
    ::testing::Values(std::vector<std::string>{},
                      std::vector<std::string>{"train.validate_every=0"},
                      std::vector<std::string>{"data.held_out=0", "engine.compile_limit=9"},
                      std::vector<std::string>{"engine.compile_limit=12"},
                      std::vector<std::string>{"engine.partition=six", "train.accumulate=16"},
                      std::vector<std::string>{"engine.partition=dynamic",
                                               "engine.compile_limit=20"}));

TEST(RunPlan, OfALanguageModelCountsItsTokens) {
  const TemporaryDirectory folder;
  const fs::path text = folder.path() / "text.txt";
  ASSERT_TRUE(write_file_atomically(text, std::string(400, 'a') + "bc").ok());
  ::setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  RunCase run({"data.source=text", "data.path=" + text.string(), "model.vocab=256",
               "data.validation_fraction=0.1", "train.validate_every=0"});
  const train::RunPlan plan = plan_of(run, folder.path() / "none");
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  ::unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(run.lines("sample").size(), plan.course.texts);
  EXPECT_GT(plan.memory.sampler, 256U * 12 * 2);  // the classifier in fp16, and the rest
  EXPECT_EQ(plan.course.tokens_per_step, 7U);
  EXPECT_EQ(plan.course.held_out, 6U);  // 41 tokens, each but the first predicted once
  EXPECT_GT(plan.memory.mapped, 402U);
  std::int64_t sum = 0;
  for (const train::PlannedPart& part : plan.parts) sum += part.parameters;
  EXPECT_EQ(sum, plan.parameters);
  EXPECT_EQ(plan.parts.front().name, "embedding");
  EXPECT_EQ(plan.parts.front().parameters, 256 * 12);
  const auto json = nlohmann::json::parse(to_json(plan));
  EXPECT_EQ(json.at("tokens"), 7 * 16);
  EXPECT_EQ(json.at("bytes").at("total"), plan.memory.total());
  EXPECT_NE(to_text(plan).find("7 a step, 21 an update"), std::string::npos) << to_text(plan);
}

TEST(RunPlan, IsRefusedAsTheRunWouldBe) {
  RunCase run;
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  expect_error([&] { (void)train::plan_run(run.options); }, "this folder holds a run already");
  RunCase few({"engine.compile_limit=2"});
  expect_error([&] { (void)plan_of(few, "none"); }, "too few for one update");
}

}  // namespace
}  // namespace anemone::test

// The program itself: signals, re-execution for the compile budget, run folders, exit codes.
#include "tests/support/process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "anemone/base/file.h"
#include "anemone/train/metrics_compare.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

namespace fs = std::filesystem;

class TrainProcess : public ::testing::Test {
 protected:
  // `anemone train` with the small config and `more`; a tiny model keeps it quick under sanitizers.
  std::vector<std::string> command(const std::vector<std::string>& more) const {
    std::vector<std::string> list = {program_path().string(), "train", "--config",
                                     (source_root() / "configs/small.toml").string()};
    for (const char* key : {"model.dim=16", "model.hidden=24", "model.seq=8", "train.accumulate=5",
                            "train.checkpoint_minutes=0"})
      list.insert(list.end(), {"--set", key});
    list.insert(list.end(), more.begin(), more.end());
    return list;
  }
  std::string folder(const char* name) const { return (directory.path() / name).string(); }

  // The run that the others are compared with.
  std::string whole_run(const std::string& steps) const {
    const std::string out = folder("whole");
    Process process(command({"--steps", steps, "--out", out}));
    EXPECT_EQ(process.wait(), 0) << process.output();
    return out;
  }

  // Until the output holds `part`; false after a minute or when the process has ended without it.
  static bool wait_for(Process& process, const std::string& part) {
    for (int i = 0; i < 6000; ++i) {
      const bool running = process.running();
      if (process.output().find(part) != std::string::npos) return true;
      if (!running) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  static std::vector<std::string> differences(const std::string& a, const std::string& b) {
    return train::compare_metrics(fs::path(a) / "metrics.jsonl", fs::path(b) / "metrics.jsonl");
  }

  TemporaryDirectory directory;
};

std::uint64_t steps_in(const std::string& out) {
  std::uint64_t count = 0;
  const std::string text = read_text_file(fs::path(out) / "metrics.jsonl");
  for (std::size_t at = text.find("\"type\":\"step\""); at != std::string::npos;
       at = text.find("\"type\":\"step\"", at + 1))
    ++count;
  return count;
}

TEST_F(TrainProcess, SignalsEndARunWithACheckpointAndItResumesBitForBit) {
  for (const int number : {SIGINT, SIGTERM}) {
    SCOPED_TRACE(number);
    const std::string out = folder(number == SIGINT ? "int" : "term");
    Process first(
        command({"--steps", "100000000", "--out", out, "--set", "train.checkpoint_steps=0"}));
    ASSERT_TRUE(wait_for(first, "step 1/")) << first.output();
    first.signal(number);
    EXPECT_EQ(first.wait(), 128 + number) << first.output();
    EXPECT_NE(first.output().find("go on with: " + program_path().string() + " train"),
              std::string::npos)
        << first.output();
    EXPECT_NE(first.output().find("--resume"), std::string::npos);

    const std::uint64_t done = steps_in(out);
    ASSERT_GT(done, 0U);
    const std::string steps = std::to_string(done + 12);
    Process second(command({"--steps", steps, "--out", out, "--resume"}));
    EXPECT_EQ(second.wait(), 0) << second.output();
    const std::string whole = whole_run(steps);
    const auto different = differences(out, whole);
    EXPECT_TRUE(different.empty()) << different.front();
    fs::remove_all(whole);
  }
}

TEST_F(TrainProcess, OneSignalBeforeTheFirstStepEndsItToo) {
  const std::string out = folder("early");
  // Labelling so many samples takes minutes.
  Process process(command({"--out", out, "--set", "data.source=teacher", "--set",
                           "data.samples=100000", "--engine", "reference"}));
  for (int i = 0; i < 1000 && !fs::exists(fs::path(out) / "lock"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 143);
  EXPECT_NE(process.output().find("nothing was done yet"), std::string::npos) << process.output();
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(TrainProcess, ASecondSignalEndsAtOnce) {
  const std::string out = folder("run");
  // The reference engine at this size needs seconds for a step: the first signal finds it busy.
  Process process(command({"--engine", "reference", "--out", out, "--set", "model.dim=512", "--set",
                           "model.hidden=2048", "--set", "model.seq=256", "--steps", "1000"}));
  ASSERT_TRUE(wait_for(process, "folder ")) << process.output();
  process.signal(SIGINT);
  ASSERT_TRUE(wait_for(process, "again: at once")) << process.output();
  const auto start = std::chrono::steady_clock::now();
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(), 130);
  EXPECT_EQ(process.output().find("go on with"), std::string::npos) << process.output();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST_F(TrainProcess, ExecutesItselfAgainWhenCompilesRunOut) {
  const std::string whole = whole_run("23"), out = folder("limited");
  Process process(command({"--steps", "23", "--out", out, "--compile-limit", "8"}));
  EXPECT_EQ(process.wait(), 0) << process.output();
  const auto different = differences(out, whole);
  EXPECT_TRUE(different.empty()) << different.front();
  const auto report = nlohmann::json::parse(read_text_file(fs::path(out) / "report.json"));
  EXPECT_EQ(report.at("restarts"), 2);
  EXPECT_EQ(report.at("steps"), 23);
}

TEST_F(TrainProcess, TooSmallACompileLimitSaysWhatFits) {
  Process process(command({"--out", folder("small"), "--compile-limit", "2"}));
  EXPECT_EQ(process.wait(), 1);
  EXPECT_NE(process.output().find("at least 4"), std::string::npos) << process.output();
}

TEST_F(TrainProcess, MaxMinutesStopsAndResumesBitForBit) {
  const std::string whole = whole_run("23"), out = folder("timed");
  Process first(command({"--steps", "23", "--out", out, "--max-minutes", "1e-7"}));
  EXPECT_EQ(first.wait(), 0) << first.output();
  EXPECT_NE(first.output().find("go on with: " + program_path().string() + " train"),
            std::string::npos);
  EXPECT_EQ(steps_in(out), 1U);
  Process second(command({"--steps", "23", "--out", out, "--resume"}));
  EXPECT_EQ(second.wait(), 0) << second.output();
  EXPECT_TRUE(differences(out, whole).empty());
}

TEST_F(TrainProcess, PrintConfigRoundTrips) {
  Process first(command({"--print-config", "--steps", "77", "--seed", "5", "--precision", "fp32"}));
  ASSERT_EQ(first.wait(), 0) << first.output();
  EXPECT_NE(first.output().find("steps = 77"), std::string::npos);
  const fs::path printed = directory.path() / "printed.toml";
  ASSERT_TRUE(write_file_atomically(printed, first.output()).ok());
  const ProgramRun second = run_program({"train", "--config", printed.string(), "--print-config"});
  ASSERT_EQ(second.code, 0) << second.output;
  EXPECT_EQ(second.output, first.output());
}

TEST_F(TrainProcess, TheDefaultFolderIsNumberedAndResumeTakesTheLast) {
  const auto run_here = [&](const std::vector<std::string>& more) {
    std::vector<std::string> list = {"/bin/sh", "-c", "cd \"$0\" && exec \"$@\"",
                                     directory.path().string()};
    const std::vector<std::string> train = command(more);
    list.insert(list.end(), train.begin(), train.end());
    Process process(list);
    EXPECT_EQ(process.wait(), 0) << process.output();
    return process.output();
  };
  run_here({"--steps", "3"});
  run_here({"--steps", "4"});
  run_here({"--steps", "9", "--resume"});
  EXPECT_EQ(steps_in(folder("runs/small")), 3U);
  EXPECT_EQ(steps_in(folder("runs/small-2")), 9U);
  EXPECT_FALSE(fs::exists(folder("runs/small-3")));
}

TEST_F(TrainProcess, MistakesAreToldWithTheirPlace) {
  struct Case {
    std::vector<std::string> more;
    int code;
    const char* part;
  };
  const std::vector<Case> cases = {
      {{"--set", "train.stepz=3"}, 2, "did you mean train.steps?"},
      {{"--set", "train.steps", "3"}, 2, "'train.steps' has no value: write train.steps=VALUE"},
      {{"--json"}, 2, "--dry-run"},
      {{"--steps", "many"}, 2, "--steps many: 'many' is not an integer"},
      {{"--engine", "gpu"}, 2, "--engine gpu"},
      {{"--partition", "seven"}, 2, "merged"},
      {{"--set", "data.source=pairs", "--set", "data.path=/nonexistent"}, 1, "/nonexistent"},
      {{"--resume", "--out", "/nonexistent/run"}, 1, "there is no run to resume"},
      {{"--init", "/nonexistent.safetensors", "--out", folder("init")},
       1,
       "/nonexistent.safetensors"},
      {{"--what"}, 2, "--what"},
      {{"--out", ""}, 2, "--out"},
  };
  for (const Case& bad : cases) {
    std::vector<std::string> more = bad.more;
    if (std::find(more.begin(), more.end(), "--out") == more.end())
      more.insert(more.end(), {"--out", folder("bad")});
    Process process(command(more));
    EXPECT_EQ(process.wait(), bad.code) << process.output();
    EXPECT_NE(process.output().find(bad.part), std::string::npos)
        << process.output() << "\n  lacks: " << bad.part;
  }
}

TEST_F(TrainProcess, AUsedFolderIsNotOverwritten) {
  const std::string out = whole_run("3");
  Process process(command({"--steps", "3", "--out", out}));
  EXPECT_EQ(process.wait(), 1);
  EXPECT_NE(process.output().find("--resume"), std::string::npos) << process.output();
}

TEST_F(TrainProcess, ADryRunPrintsAPlanAndMakesNoFolder) {
  const std::string out = folder("planned");
  Process text(command({"--steps", "23", "--dry-run", "--out", out}));
  ASSERT_EQ(text.wait(), 0) << text.output();
  EXPECT_NE(text.output().find("23 steps in 5 updates of 5"), std::string::npos) << text.output();
  Process json(command({"--steps", "23", "--dry-run", "--json", "--out", out}));
  ASSERT_EQ(json.wait(), 0) << json.output();
  const auto plan = nlohmann::json::parse(json.output());
  for (const char* field : {"parameters", "updates", "seconds", "peak_tflops", "utilization"})
    EXPECT_GT(plan.at(field), 0) << field;
  EXPECT_EQ(plan.at("folder"), out);
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(TrainProcess, BenchStepGivesItsFields) {
  const ProgramRun ran = run_program(
      {"bench", "step", "--config", (source_root() / "configs/small.toml").string(), "--steps", "3",
       "--json", "--set", "model.dim=16", "--set", "model.hidden=24", "--set", "model.seq=8"});
  ASSERT_EQ(ran.code, 0) << ran.output;
  const auto json = nlohmann::json::parse(ran.output);
  for (const char* field : {"ms_per_step", "model_flops", "executed_flops", "peak_tflops",
                            "efficiency", "update_weights_ms", "adam_ms", "compile_ms"})
    EXPECT_GT(json.at(field), 0) << field;
  double gflop = 0;
  for (const auto& part : json.at("parts")) gflop += part.at("gflop").get<double>();
  EXPECT_DOUBLE_EQ(gflop * 1e9, json.at("model_flops").get<double>());
}

}  // namespace
}  // namespace anemone::test

// The default training job, full size, through the driver on the fake framework: losses within
// 0.1 % of the cpu engine's, and the same bits over restarts for the compile budget; and what a
// training run does when the compiler refuses. All 400 steps of it take minutes: only where
// ANEMONE_EXHAUSTIVE is set, otherwise fewer.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "tests/ane_driver/program_case.h"
#include "tests/support/shared.h"

namespace anemone::test {
namespace {

std::string file_text(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class AneJob : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto library = fake_ane_library();
    if (!library) GTEST_SKIP() << "the fake framework was not built";
    case_ = std::make_unique<ProgramCase>(*library);
  }
  std::unique_ptr<ProgramCase> case_;
};

TEST_F(AneJob, TheDefaultLayerIsWithinATenthOfAPercentOfTheCpuEngine) {
  const std::string config = file_text(source_root() / "configs" / "layer.toml");
  const std::vector<std::string> common = {"--steps", "24", "--set", "train.accumulate=4"};
  std::vector<std::string> cpu = {"--engine", "cpu", "--partition", "six"},
                           ane = {"--engine", "ane"};
  cpu.insert(cpu.end(), common.begin(), common.end());
  ane.insert(ane.end(), common.begin(), common.end());
  ASSERT_EQ(case_->train("cpu", config, cpu), 0) << case_->output;
  ASSERT_EQ(case_->train("ane", config, ane), 0) << case_->output;
  EXPECT_LE(largest_difference(case_->losses("cpu"), case_->losses("ane")), 1e-3);
  EXPECT_EQ(case_->reported("evaluates"), 24 * 6) << case_->report();
  ane.insert(ane.end(), {"--compile-limit", "11"});
  case_->script = "budget 11";
  ASSERT_EQ(case_->train("limited", config, ane), 0) << case_->output;
  EXPECT_EQ(case_->differences("limited", "ane"), std::vector<std::string>{});
}

// 11 compiles are the 6 programs to begin with and the 5 of an update; after the next update
// another process begins with its weights. So two updates are a process.
long restarts_of(long updates) { return updates / 2 - 1; }

// As configs/layer.toml has it, with its 4 updates; and with 20.
TEST_F(AneJob, AllOfTheDefaultJobIsBitIdenticalOverRestarts) {
  if (std::getenv("ANEMONE_EXHAUSTIVE") == nullptr)
    GTEST_SKIP() << "set ANEMONE_EXHAUSTIVE for all 400 steps of the default job";
  const std::string config = file_text(source_root() / "configs" / "layer.toml");
  for (const long accumulate : {100, 20}) {
    const long updates = 400 / accumulate;
    const std::string setting = "train.accumulate=" + std::to_string(accumulate);
    const std::string name = std::to_string(updates);
    const std::string cpu = "cpu" + name, whole = "whole" + name, limited = "limited" + name;
    const std::vector<std::string> flags = {"--partition", "six", "--set", setting, "--engine"};
    std::vector<std::string> on_cpu = flags, on_ane = flags;
    on_cpu.emplace_back("cpu");
    on_ane.emplace_back("ane");
    std::vector<std::string> with_limit = on_ane;
    with_limit.insert(with_limit.end(), {"--compile-limit", "11"});
    case_->script = "";
    ASSERT_EQ(case_->train(cpu, config, on_cpu), 0) << case_->output;
    ASSERT_EQ(case_->train(whole, config, on_ane), 0) << case_->output;
    EXPECT_EQ(case_->reported("evaluates"), 400 * 6) << case_->report();
    EXPECT_EQ(case_->restarts(whole), 0);
    case_->script = "budget 11";
    ASSERT_EQ(case_->train(limited, config, with_limit), 0) << case_->output;
    EXPECT_NE(case_->report().find("violations=none"), std::string::npos) << case_->report();
    EXPECT_EQ(case_->restarts(limited), restarts_of(updates));
    EXPECT_EQ(case_->losses(whole).size(), 400u);
    EXPECT_EQ(case_->differences(limited, whole), std::vector<std::string>{});
    const double apart = largest_difference(case_->losses(cpu), case_->losses(whole));
    EXPECT_LE(apart, 1e-3);
    std::cout << updates << " updates in " << 1 + case_->restarts(limited)
              << " processes: the same bits; from the cpu engine the losses differ by at most "
              << apart << "\n";
  }
}

TEST_F(AneJob, FourHundredStepsWithManyRestartsAreBitIdentical) {
  const std::string config =
      "[model]\ndim = 48\nhidden = 96\nheads = 4\nseq = 64\n"
      "[data]\nsource = \"teacher\"\n"
      "[train]\nsteps = 400\naccumulate = 20\ncheckpoint_steps = 50\n[engine]\nthreads = 1\n";
  ASSERT_EQ(case_->train("whole", config, {"--engine", "ane"}), 0) << case_->output;
  case_->script = "budget 11";
  ASSERT_EQ(case_->train("limited", config, {"--engine", "ane", "--compile-limit", "11"}), 0)
      << case_->output;
  EXPECT_EQ(case_->losses("whole").size(), 400u);
  EXPECT_EQ(case_->restarts("limited"), restarts_of(20) + 1) << "validation at the end is one more";
  EXPECT_EQ(case_->differences("limited", "whole"), std::vector<std::string>{});
  ASSERT_EQ(case_->train("cpu", config, {"--engine", "cpu", "--partition", "six"}), 0)
      << case_->output;
  EXPECT_LE(largest_difference(case_->losses("cpu"), case_->losses("whole")), 1e-3);
}

// The second try waits its 15 seconds, fails the same way, and the run stops.
TEST_F(AneJob, ACompilerThatRefusesStopsTheRunWithItsCheckpoint) {
  const std::string config =
      "[model]\ndim = 24\nhidden = 40\nheads = 3\nseq = 20\n[data]\nsource = \"original\"\n"
      "[train]\nsteps = 24\naccumulate = 3\ncheckpoint_steps = 3\n[engine]\nthreads = 1\n";
  case_->script = "compile 14+ fail";
  EXPECT_EQ(case_->train("run", config, {"--engine", "ane"}), 1);
  EXPECT_NE(case_->output.find("failed twice the same way"), std::string::npos) << case_->output;
  EXPECT_NE(
      case_->output.find("ANECCompile() FAILED (com.apple.appleneuralengine.compiler, code 1)"),
      std::string::npos)
      << case_->output;
  EXPECT_NE(case_->output.find("the program is saved in"), std::string::npos) << case_->output;
  EXPECT_NE(case_->output.find("the last checkpoint stands"), std::string::npos) << case_->output;
  case_->script = "";
  ASSERT_EQ(case_->run({"train", "--resume", "--out", (case_->folder.path() / "run").string()}), 0)
      << case_->output;
  ASSERT_EQ(case_->train("whole", config, {"--engine", "ane"}), 0) << case_->output;
  EXPECT_EQ(case_->differences("run", "whole"), std::vector<std::string>{});
}

}  // namespace
}  // namespace anemone::test

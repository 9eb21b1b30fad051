// The default training job, full size, through the driver on the fake framework: losses within
// 0.1 % of the cpu engine's, and the same bits over restarts for the compile budget; and what a
// training run does when the compiler refuses.
#include <gtest/gtest.h>

#include <fstream>
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
  EXPECT_EQ(case_->losses("limited"), case_->losses("ane"));
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
  EXPECT_EQ(case_->losses("limited"), case_->losses("whole"));
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
  EXPECT_EQ(case_->losses("run"), case_->losses("whole"));
}

}  // namespace
}  // namespace anemone::test

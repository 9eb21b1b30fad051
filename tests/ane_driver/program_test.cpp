// The program with the engine `ane`: whole training runs on the fake framework, what the command
// line does where the engine is not to be had, and what it says of a framework with parts missing.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/ane_driver/program_case.h"
#include "tests/support/shared.h"

namespace anemone::test {
namespace {

#define PROGRAM_CASE_OR_SKIP(name)                                                     \
  const auto name##_library = fake_ane_library();                                      \
  if (!name##_library.has_value()) GTEST_SKIP() << "the fake framework was not built"; \
  ProgramCase name(*name##_library)

// Rows of 20 numbers are padded to 64 bytes, so packed tensors have gaps.
constexpr const char* kSmallLayer =
    "[model]\ndim = 24\nhidden = 40\nheads = 3\nseq = 20\n"
    "[data]\nsource = \"original\"\n"
    "[train]\nsteps = 24\naccumulate = 3\ncheckpoint_steps = 5\n"
    "[engine]\nthreads = 1\n";

std::string small_program() {
  return (source_root() / "tests" / "engine" / "ane" / "add.mil").string();
}

// fp16 values are rounded at the same places on both, and sums may differ in their last bits: the
// bound is the one the job is judged by.
constexpr double kBound = 1e-3;

TEST(AneProgram, TrainsLikeTheCpuEngine) {
  PROGRAM_CASE_OR_SKIP(c);
  ASSERT_EQ(c.train("cpu", kSmallLayer, {"--engine", "cpu", "--partition", "six"}), 0) << c.output;
  ASSERT_EQ(c.train("ane", kSmallLayer, {"--engine", "ane"}), 0) << c.output;
  EXPECT_LE(largest_difference(c.losses("cpu"), c.losses("ane")), kBound);
  EXPECT_EQ(c.reported("evaluates"), 24 * 6) << "one a kernel and step: " << c.report();
  EXPECT_EQ(c.reported("compiles"), 6 + 7 * 5) << c.report();  // eight updates, seven used
  EXPECT_EQ(c.reported("live"), 0) << c.report();
  EXPECT_EQ(c.reported("loaded"), 0) << c.report();
  EXPECT_NE(c.report().find("violations=none"), std::string::npos) << c.report();
}

// Weights that are inputs: padded surfaces of their own, shared by the kernels that read them.
TEST(AneProgram, DynamicWeightsCompileOnce) {
  PROGRAM_CASE_OR_SKIP(c);
  for (const std::string target : {"m1", "m4"}) {
    const std::vector<std::string> flags = {"--engine", "ane", "--set", "engine.target=" + target};
    ASSERT_EQ(c.train("six_" + target, kSmallLayer, flags), 0) << c.output;
    std::vector<std::string> more = flags;
    more.insert(more.end(), {"--partition", "dynamic", "--compile-limit", "6"});
    ASSERT_EQ(c.train("dynamic_" + target, kSmallLayer, more), 0) << c.output;
    EXPECT_LE(largest_difference(c.losses("six_" + target), c.losses("dynamic_" + target)), kBound);
    EXPECT_EQ(c.reported("compiles"), 6) << c.report();
    EXPECT_EQ(c.reported("evaluates"), 24 * 6) << c.report();
    EXPECT_EQ(c.reported("live"), 0) << c.report();
    EXPECT_NE(c.report().find("violations=none"), std::string::npos) << c.report();
  }
}

// While the engine works on a kernel the host takes the surfaces of the ones before it: products
// that take milliseconds each, so that the later ones begin when the next kernel has long begun.
TEST(AneProgram, WeightGradientsAreComputedWhileTheEngineWorks) {
  PROGRAM_CASE_OR_SKIP(c);
  constexpr const char* kLayer =
      "[model]\ndim = 256\nhidden = 1024\nheads = 4\nseq = 256\n"
      "[data]\nsource = \"original\"\n"
      "[train]\nsteps = 6\naccumulate = 3\n"
      "[engine]\nthreads = 1\n";
  ASSERT_EQ(c.train("quick", kLayer, {"--engine", "ane"}), 0) << c.output;
  c.script = "slow 60";
  ASSERT_EQ(c.train("slow", kLayer, {"--engine", "ane"}), 0) << c.output;
  EXPECT_GT(c.reported("overlaps"), 0) << c.report();
  EXPECT_EQ(c.losses("slow"), c.losses("quick"));
  EXPECT_NE(c.report().find("violations=none"), std::string::npos) << c.report();
}

TEST(AneProgram, RestartsForTheBudgetChangeNothing) {
  PROGRAM_CASE_OR_SKIP(c);
  c.script = "budget 11";  // the framework means it
  ASSERT_EQ(c.train("limited", kSmallLayer, {"--engine", "ane", "--compile-limit", "11"}), 0)
      << c.output;
  EXPECT_NE(c.output.find("resuming"), std::string::npos) << c.output;
  EXPECT_NE(c.report().find("violations=none"), std::string::npos) << c.report();
  c.script = "";
  ASSERT_EQ(c.train("whole", kSmallLayer, {"--engine", "ane"}), 0) << c.output;
  EXPECT_EQ(c.differences("limited", "whole"), std::vector<std::string>{});
  EXPECT_TRUE(std::filesystem::is_empty(c.folder.path() / "tmp"));
}

// The process ends with an error that names the kernel; the checkpoint that stands is gone on from.
TEST(AneProgram, ACallThatDoesNotReturnEndsTheRunWithItsCheckpoint) {
  PROGRAM_CASE_OR_SKIP(c);
  ASSERT_EQ(c.train("whole", kSmallLayer, {"--engine", "ane"}), 0) << c.output;
  const std::pair<const char*, const char*> cases[] = {
      {"evaluate 100 hold", "l0.sdpa_bwd1: evaluate does not return: no answer in 5 s"},
      {"compile 14 hold", "compile does not return: no answer in 5 s"}};
  for (const auto& [script, expected] : cases) {
    const std::string name = std::string(script).substr(0, 7);
    c.script = script;
    c.patience = "5";
    EXPECT_EQ(c.train(name, kSmallLayer, {"--engine", "ane"}), 1) << c.output;
    EXPECT_NE(c.output.find(expected), std::string::npos) << c.output;
    EXPECT_NE(c.output.find("the last checkpoint stands"), std::string::npos) << c.output;
    c.script = c.patience = "";
    ASSERT_EQ(c.run({"train", "--resume", "--out", (c.folder.path() / name).string()}), 0)
        << c.output;
    EXPECT_EQ(c.differences(name, "whole"), std::vector<std::string>{}) << script;
  }
}

TEST(AneProgram, SeveralFunctionsAProgramGiveTheSameWithFewerCompiles) {
  PROGRAM_CASE_OR_SKIP(c);
  ASSERT_EQ(c.train("apart", kSmallLayer, {"--engine", "ane"}), 0) << c.output;
  for (const char* script : {"", "procedures reversed", "attributes no-layout"}) {
    c.script = script;
    const std::string name = "together" + std::string(script).substr(0, 4);
    ASSERT_EQ(c.train(name, kSmallLayer, {"--engine", "ane", "--ane-multi-function"}), 0)
        << script << "\n"
        << c.output;
    EXPECT_EQ(c.losses(name), c.losses("apart")) << script;
    EXPECT_EQ(c.reported("compiles"), 2 + 7 * 2) << c.report();
    EXPECT_EQ(c.reported("evaluates"), 24 * 6) << c.report();
    EXPECT_EQ(c.reported("live"), 0) << c.report();
    EXPECT_NE(c.report().find("violations=none"), std::string::npos) << c.report();
  }
  // The flag survives the restarts that the budget asks for.
  c.script = "budget 4";
  ASSERT_EQ(c.train("limited", kSmallLayer,
                    {"--engine", "ane", "--ane-multi-function", "--compile-limit", "4"}),
            0)
      << c.output;
  EXPECT_EQ(c.losses("limited"), c.losses("apart"));
}

TEST(AneProgram, WeightsAsInputsCompileOnce) {
  PROGRAM_CASE_OR_SKIP(c);
  ASSERT_EQ(c.train("cpu", kSmallLayer, {"--engine", "cpu", "--partition", "six"}), 0) << c.output;
  ASSERT_EQ(c.train("dynamic", kSmallLayer, {"--engine", "ane", "--partition", "dynamic"}), 0)
      << c.output;
  EXPECT_LE(largest_difference(c.losses("cpu"), c.losses("dynamic")), kBound);
  EXPECT_EQ(c.reported("compiles"), 6) << c.report();
  EXPECT_NE(c.report().find("violations=none"), std::string::npos) << c.report();
}

TEST(AneProgram, ABudgetForLessThanAnUpdateIsRefusedAtTheStart) {
  PROGRAM_CASE_OR_SKIP(c);
  EXPECT_EQ(c.train("run", kSmallLayer, {"--engine", "ane", "--compile-limit", "5"}), 1);
  EXPECT_NE(c.output.find("too few for one update"), std::string::npos) << c.output;
  EXPECT_NE(c.output.find("\"merged\" with 4"), std::string::npos) << c.output;
  EXPECT_LE(c.reported("compiles"), 0) << c.report();
}

TEST(AneProgram, AutoTakesItWhereItCanBeHad) {
  PROGRAM_CASE_OR_SKIP(c);
  ASSERT_EQ(c.run({"run", small_program(), "--fill", "1.5"}), 0) << c.output;
  EXPECT_EQ(c.reported("evaluates"), 1) << c.report();
  EXPECT_NE(c.output.find("min 3 max 3"), std::string::npos) << c.output;
}

TEST(AneProgram, AutoFallsBackLoudlyAndAneNever) {
  ProgramCase c("/nonexistent/AppleNeuralEngine");
  EXPECT_EQ(c.run({"run", small_program(), "--fill", "1.5"}), 0) << c.output;
  EXPECT_NE(c.output.find("warning: the engine ane cannot be had here and is not used: "
                          "/nonexistent/AppleNeuralEngine"),
            std::string::npos)
      << c.output;
  EXPECT_EQ(c.train("run", kSmallLayer, {"--engine", "auto", "--steps", "3"}), 0) << c.output;
  EXPECT_NE(c.output.find("the engine ane cannot be had here"), std::string::npos) << c.output;
  EXPECT_EQ(c.run({"run", small_program(), "--fill", "1.5", "--engine", "ane"}), 1) << c.output;
  EXPECT_EQ(c.train("no", kSmallLayer, {"--engine", "ane", "--steps", "3"}), 1) << c.output;
}

TEST(AneProgram, AutoPassesOverWhatItCannotDo) {
  PROGRAM_CASE_OR_SKIP(c);
  const std::string why =
      "the engine ane does not take this and is not used: the Neural Engine "
      "multiplies fp16 numbers, not bf16";
  EXPECT_EQ(c.run({"run", small_program(), "--fill", "1", "--precision", "bf16"}), 0) << c.output;
  EXPECT_NE(c.output.find(why), std::string::npos) << c.output;
  EXPECT_EQ(c.train("auto", kSmallLayer, {"--steps", "3", "--precision", "bf16"}), 0) << c.output;
  EXPECT_NE(c.output.find(why), std::string::npos) << c.output;
  EXPECT_EQ(c.train("fp32", kSmallLayer, {"--steps", "3", "--precision", "fp32"}), 0) << c.output;
  EXPECT_NE(c.output.find("the engine ane does not take this"), std::string::npos) << c.output;
  EXPECT_EQ(c.train("ane", kSmallLayer, {"--precision", "fp32", "--engine", "ane"}), 1) << c.output;
}

TEST(AneProgram, OneErrorNamesAllThatIsMissing) {
  PROGRAM_CASE_OR_SKIP(c);
  c.script =
      "missing-class _ANERequest; missing-selector evaluateWithQoS:options:request:error:; "
      "missing-selector hexStringIdentifier";
  EXPECT_EQ(c.run({"run", small_program(), "--fill", "1", "--engine", "ane"}), 1);
  EXPECT_NE(c.output.find("-[_ANEInMemoryModel hexStringIdentifier], -[_ANEInMemoryModel "
                          "evaluateWithQoS:options:request:error:], class _ANERequest"),
            std::string::npos)
      << c.output;
  EXPECT_EQ(c.run({"doctor", "--quick"}), 0);
  EXPECT_NE(c.output.find("class _ANERequest"), std::string::npos) << c.output;
}

TEST(AneProgram, DoesWithoutWhatIsOptional) {
  PROGRAM_CASE_OR_SKIP(c);
  for (const char* script :
       {"missing-selector compiledModelExists; missing-selector purgeCompiledModel; "
        "missing-class _ANEDeviceInfo; missing-selector modelAttributes; missing-selector model",
        "missing-selector modelWithMILText:weights:optionsPlist:",
        "missing-selector mapIOSurfacesWithRequest:cacheInference:error:"}) {
    c.script = script;
    EXPECT_EQ(c.run({"run", small_program(), "--fill", "1.5", "--engine", "ane"}), 0)
        << script << "\n"
        << c.output;
    EXPECT_NE(c.output.find("min 3 max 3"), std::string::npos) << c.output;
    EXPECT_NE(c.report().find("violations=none"), std::string::npos) << c.report();
    EXPECT_EQ(c.reported("live"), 0) << c.report();
  }
  c.script =
      "missing-selector modelWithMILText:weights:optionsPlist:; "
      "missing-selector initWithNetworkText:weights:optionsPlist:isMILModel:";
  EXPECT_EQ(c.run({"run", small_program(), "--fill", "1", "--engine", "ane"}), 1);
  EXPECT_NE(c.output.find("any way to make an _ANEInMemoryModelDescriptor"), std::string::npos)
      << c.output;
}

TEST(AneProgram, DoctorTellsWhatItFinds) {
  PROGRAM_CASE_OR_SKIP(c);
  ASSERT_EQ(c.run({"doctor", "--quick"}), 0) << c.output;
  for (const char* expected : {"missing            none", "the framework calls it h16g"})
    EXPECT_NE(c.output.find(expected), std::string::npos) << expected << "\n" << c.output;
}

}  // namespace
}  // namespace anemone::test

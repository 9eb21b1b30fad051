// `--numerics` as a user meets it: which engine computes then, what it says, what does not go.
#include <gtest/gtest.h>

#include <filesystem>

#include "anemone/base/file.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace anemone {
namespace {

namespace fs = std::filesystem;

// y = x · x as a product of matrices.
constexpr const char* kSquare = R"(program(1.3)
{
  func main<ios18>(tensor<fp16, [2, 2]> x) {
    tensor<fp16, [2, 2]> y = matmul(x = x, y = x)[name = string("y")];
  } -> (y);
}
)";

constexpr const char* kConfig =
    "[model]\ndim = 12\nhidden = 20\nheads = 3\nseq = 7\n[train]\nsteps = 2\naccumulate = 1\n";

class Numerics : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(write_file_atomically(folder_.path() / "model.mil", kSquare).message, "");
    ASSERT_EQ(write_file_atomically(folder_.path() / "c.toml", kConfig).message, "");
  }
  std::string path(const char* name) const { return (folder_.path() / name).string(); }

  std::string run(std::vector<std::string> arguments, int code) {
    const test::ProgramRun ran = test::run_program(std::move(arguments));
    EXPECT_EQ(ran.code, code) << ran.output;
    return ran.output;
  }
  void expect_said(const std::string& output, const std::string& part) {
    EXPECT_NE(output.find(part), std::string::npos) << "expected: " << part << "\nin: " << output;
  }

  test::TemporaryDirectory folder_;
};

TEST_F(Numerics, ProductsOverflowEarlier) {
  const std::vector<std::string> command = {"run",   path("model.mil"), "--input",
                                            "x=150", "--engine",        "reference"};
  expect_said(run(command, 0), "max 44992");  // 2 · 150², in fp16
  std::vector<std::string> emulated = command;
  emulated.insert(emulated.end(), {"--numerics", "ane", "--explain"});
  const std::string said = run(emulated, 0);
  expect_said(said, "4 NOT FINITE");
  expect_said(said, "reference, ane:m4");
  expect_said(said,
              "note: numerics ane:m4: as the Neural Engine of the M4 (h16) computes, emulated by "
              "the reference engine");
}

TEST_F(Numerics, AutoTakesTheEngineThatEmulatesAndOthersSayWhich) {
  expect_said(
      run({"run", path("model.mil"), "--fill", "1", "--numerics", "ane:m1", "--explain"}, 0),
      "reference, ane:m1");
  expect_said(
      run({"run", path("model.mil"), "--fill", "1", "--numerics", "ane", "--engine", "cpu"}, 1),
      "the engine cpu does not emulate other arithmetics (expected the engine reference, or auto)");
  expect_said(run({"run", path("model.mil"), "--fill", "1", "--numerics", "ane:m7"}, 1),
              "no profile \"m7\" (expected m1, m2, m3, m4, m5)");
}

TEST_F(Numerics, TrainingTakesItFromFlagAndConfig) {
  const std::string said = run({"train", "--config", path("c.toml"), "--out", path("run"),
                                "--numerics", "ane:m3", "--threads", "1"},
                               0);
  expect_said(said, "engine  reference, partition six");
  expect_said(said, "numbers ane:m3: as the Neural Engine of the M3 (h15) computes");
  expect_said(run({"train", "--config", path("c.toml"), "--numerics", "ane", "--engine", "cpu"}, 2),
              "does not emulate other arithmetics");
  expect_said(
      run({"train", "--config", path("c.toml"), "--numerics", "ane", "--precision", "fp32"}, 2),
      "is not what engine.numerics = \"ane\" emulates");
  expect_said(run({"train", "--config", path("c.toml"), "--numerics", "gpu"}, 2),
              "there is no arithmetic called \"gpu\"");
}

}  // namespace
}  // namespace anemone

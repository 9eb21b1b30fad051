// `anemone run` as a user meets it: a program, arrays in and out, and what it says when they do not
// fit.
#include <gtest/gtest.h>

#include <filesystem>

#include "anemone/base/element.h"
#include "anemone/base/file.h"
#include "anemone/base/npy.h"
#include "tests/support/process.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone {
namespace {

namespace fs = std::filesystem;

// y = x + x; z = int32(n).
constexpr const char* kProgram = R"(program(1.3)
{
  func main<ios18>(tensor<fp16, [2, 3]> x, tensor<int32, [2]> n) {
    tensor<fp16, [2, 3]> y = add(x = x, y = x)[name = string("y")];
    tensor<int32, [2]> z = add(x = n, y = n)[name = string("z")];
  } -> (y, z);
}
)";

class RunCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(write_file_atomically(file("model.mil"), kProgram).message, "");
  }

  fs::path file(const std::string& name) const { return folder_.path() / name; }
  std::string at(const std::string& name) const { return "@" + file(name).string(); }

  void write_floats(const std::string& name, DType dtype, const Shape& shape) {
    std::vector<std::byte> data(static_cast<std::size_t>(shape.elements()) * dtype_size(dtype));
    for (std::size_t i = 0; i < data.size() / dtype_size(dtype); ++i) {
      store_element(dtype, data.data(), i, 0.1 * static_cast<double>(i));
    }
    ASSERT_EQ(write_npy(file(name), dtype, shape, data).message, "");
  }

  // Runs with `arguments`, expects the exit code, and returns what was printed.
  std::string run(std::vector<std::string> arguments, int code = 0) {
    arguments.insert(arguments.begin(), {test::program_path().string(), "run"});
    arguments.insert(arguments.end(), {"--engine", "reference"});
    test::Process process(arguments);
    EXPECT_EQ(process.wait(), code) << process.output();
    return process.output();
  }

  void expect_said(const std::string& output, const std::string& part) {
    EXPECT_NE(output.find(part), std::string::npos) << "expected: " << part << "\nin: " << output;
  }

  test::TemporaryDirectory folder_;
};

TEST_F(RunCommand, ReadsAndWritesArrays) {
  write_floats("x.npy", DType::fp16, {2, 3});
  const std::string output =
      run({file("model.mil").string(), "--input", "x=" + at("x.npy"), "--input", "n=21", "--output",
           "y=" + at("y.npy"), "--output", "z=" + at("z.npy")});
  expect_said(output, "y: fp16 [2, 3]  min 0 max 1 mean 0.49");
  expect_said(output, "z: int32 [2]  min 42 max 42 mean 42");
  const NpyArray y = read_npy(file("y.npy"));
  ASSERT_EQ(y.dtype, DType::fp16);
  ASSERT_EQ(y.shape, (Shape{2, 3}));
  EXPECT_EQ(load_element(y.dtype, y.data.data(), 5), 2 * round_to(DType::fp16, 0.5));
  EXPECT_EQ(load_element(DType::int32, read_npy(file("z.npy")).data.data(), 1), 42);
}

TEST_F(RunCommand, TakesTheFolderOfACompiledModelAndASeed) {
  const std::string folder = folder_.path().string();
  const std::string first = run({folder, "--fill", "random", "--seed", "7"});
  EXPECT_EQ(run({folder, "--fill", "random", "--seed", "7"}), first);
  EXPECT_NE(run({folder, "--fill", "random", "--seed", "8"}), first);
  expect_said(run({folder, "--fill", "zeros", "--explain", "--time", "3"}), "median of 3 runs");
}

TEST_F(RunCommand, ConvertsFloatTypesAndSaysSo) {
  write_floats("x.npy", DType::fp32, {2, 3});
  const std::string output =
      run({file("model.mil").string(), "--input", "x=" + at("x.npy"), "--input", "n=1"});
  expect_said(output, "rounded from fp32 to fp16 for input 'x'");
}

TEST_F(RunCommand, SaysWhatDoesNotFit) {
  const std::string model = file("model.mil").string();
  write_floats("flat.npy", DType::fp16, {6});
  write_floats("n.npy", DType::fp32, {2});
  expect_said(run({model}, 1),
              "input 'x' (fp16 [2, 3]) is not given (expected --input x=@FILE.npy");
  expect_said(run({model, "--fill", "zeros", "--input", "w=1"}, 1),
              "--input: no 'w' in this program (expected x, n)");
  expect_said(run({model, "--fill", "zeros", "--output", "w=@w.npy"}, 1),
              "--output: no 'w' in this program (expected y, z)");
  expect_said(run({model, "--fill", "zeros", "--input", "x=1", "--input", "x=2"}, 1),
              "given twice");
  expect_said(run({model, "--fill", "zeros", "--input", "x=much"}, 1), "cannot take 'much'");
  expect_said(run({model, "--fill", "zeros", "--input", "n=0.5"}, 1), "0.5 does not fit");
  expect_said(run({model, "--fill", "zeros", "--input", "x"}, 1), "expected NAME=VALUE");
  expect_said(run({model, "--fill", "zeros", "--input", "x=" + at("flat.npy")}, 1),
              "an array fp16 [6] (expected fp16 [2, 3] for input 'x')");
  expect_said(run({model, "--fill", "zeros", "--input", "n=" + at("n.npy")}, 1),
              "0.1 of type fp32 does not fit (expected int32 for input 'n')");
  expect_said(run({model, "--fill", "zeros", "--input", "x=" + at("none.npy")}, 1), "cannot open");
  expect_said(run({model, "--fill", "zeros", "--function", "other"}, 1), "no function 'other'");
  expect_said(run({file("none.mil").string()}, 1), "none.mil");
}

}  // namespace
}  // namespace anemone

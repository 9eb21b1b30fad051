// `anemone run` as a user meets it: a program, arrays in and out, and what it says when they do not
// fit.
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "anemone/base/element.h"
#include "anemone/base/file.h"
#include "anemone/base/npy.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace anemone {
namespace {

namespace fs = std::filesystem;

// y = x + x; z = int32(n).
constexpr const char* kSums = R"(program(1.3)
{
  func main<ios18>(tensor<fp16, [2, 3]> x, tensor<int32, [2]> n) {
    tensor<fp16, [2, 3]> y = add(x = x, y = x)[name = string("y")];
    tensor<int32, [2]> z = add(x = n, y = n)[name = string("z")];
  } -> (y, z);
}
)";

// An output of 64 KiB.
constexpr const char* kLargeProgram = R"(program(1.3)
{
  func main<ios18>(tensor<fp16, [32768]> x) {
    tensor<fp16, [32768]> y = identity(x = x);
  } -> (y);
}
)";

class RunCommand : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(write_file_atomically(file("model.mil"), kSums).message, ""); }

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
    arguments.insert(arguments.begin(), "run");
    arguments.insert(arguments.end(), {"--engine", "reference"});
    const test::ProgramRun ran = test::run_program(std::move(arguments));
    EXPECT_EQ(ran.code, code) << ran.output;
    return ran.output;
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
  expect_said(run({model}, 2),
              "input 'x' (fp16 [2, 3]) is not given (expected --input x=@FILE.npy");
  expect_said(run({model, "--fill", "zeros", "--input", "w=1"}, 2),
              "--input: no 'w' in this program (expected x, n)");
  expect_said(run({model, "--fill", "zeros", "--output", "w=@w.npy"}, 2),
              "--output: no 'w' in this program (expected y, z)");
  expect_said(run({model, "--fill", "zeros", "--input", "x=1", "--input", "x=2"}, 2),
              "given twice");
  expect_said(run({model, "--fill", "zeros", "--input", "x=much"}, 2), "cannot take 'much'");
  expect_said(run({model, "--fill", "zeros", "--input", "n=0.5"}, 2), "0.5 does not fit");
  expect_said(run({model, "--fill", "1e5"}, 2), "input 'x': 1e5 does not fit");
  expect_said(run({model, "--fill", "1e999"}, 2), "input 'x': 1e999 does not fit");
  expect_said(run({model, "--fill", "inf", "--input", "n=0"}), "6 NOT FINITE");
  expect_said(run({model, "--fill", "zeros", "--input", "x"}, 2), "expected NAME=VALUE");
  expect_said(run({model, "--fill", "zeros", "--input", "x=" + at("flat.npy")}, 1),
              "an array fp16 [6] (expected fp16 [2, 3] for input 'x')");
  expect_said(run({model, "--fill", "zeros", "--input", "n=" + at("n.npy")}, 1),
              "0.1 of type fp32 does not fit (expected int32 for input 'n')");
  expect_said(run({model, "--fill", "zeros", "--input", "x=" + at("none.npy")}, 1), "cannot open");
  expect_said(run({model, "--fill", "zeros", "--function", "other"}, 2),
              "--function: no function 'other' in this program (expected main)");
  expect_said(run({file("none.mil").string()}, 1), "none.mil");
}

TEST_F(RunCommand, WantsToKnowWhichFunction) {
  const std::string two =
      "program(1.3){func a<ios18>(fp16 x){}->(x);func b<ios18>(fp16 x){}->(x);}";
  ASSERT_EQ(write_file_atomically(file("two.mil"), two).message, "");
  expect_said(run({file("two.mil").string(), "--fill", "1"}, 2),
              "--function: the program has several functions and no 'main' (expected a, b)");
  run({file("two.mil").string(), "--fill", "1", "--function", "b"});
}

TEST_F(RunCommand, SaysWhichValueIsMissing) {
  const std::string model = file("model.mil").string();
  expect_said(
      run({model, "--input", "x="}, 2),
      "--input: there is nothing behind 'x=' (expected @FILE.npy, zeros, random or a number)");
  expect_said(run({model, "--input", "x=@"}, 2), "--input: there is no file name behind 'x=@'");
  expect_said(run({model, "--fill", "zeros", "--output", "y="}, 2),
              "--output: there is nothing behind 'y=' (expected FILE.npy or @FILE.npy)");
  expect_said(run({model, "--fill", ""}, 2), "--fill: there is nothing to fill with");
}

TEST_F(RunCommand, SaysWhichNumbersMayBeGiven) {
  const std::vector<std::array<const char*, 3>> cases = {
      {"--threads", "100000", "100000 is out of range (expected 0 to 4096)"},
      {"--threads", "-2", "-2 is out of range (expected 0 to 4096)"},
      {"--threads", "two", "'two' is no whole number (expected 0 to 4096)"},
      {"--time", "-1", "-1 is out of range (expected 0 to 1000000)"},
      {"--time", "1.5", "'1.5' is no whole number"},
      {"--seed", "-1", "-1 is out of range (expected 0 to 18446744073709551615)"},
      {"--seed", "18446744073709551616", "18446744073709551616 is out of range"},
  };
  for (const auto& [flag, value, problem] : cases) {
    expect_said(run({file("model.mil").string(), "--fill", "random", flag, value}, 2),
                std::string("anemone: error: ") + flag + ": " + problem);
  }
  run({file("model.mil").string(), "--fill", "random", "--seed", "18446744073709551615"});
}

TEST_F(RunCommand, NamesTheEnginesThereAre) {
  const test::ProgramRun ran =
      test::run_program({"run", file("model.mil").string(), "--engine", "gpu", "--fill", "zeros"});
  EXPECT_EQ(ran.code, 2);
  expect_said(ran.output, "--engine: no engine 'gpu' (expected auto, reference, cpu");
}

TEST_F(RunCommand, WritesWhereTheOutputIsToGo) {
  const std::vector<std::string> common = {file("model.mil").string(), "--fill", "1", "--output"};
  const auto run_to = [&](const std::string& output, int code) {
    std::vector<std::string> arguments = common;
    arguments.push_back(output);
    return run(arguments, code);
  };
  run_to("y=" + file("plain.npy").string(), 0);  // without the @
  run_to("y=" + at("marked.npy"), 0);
  EXPECT_EQ(read_text_file(file("plain.npy")), read_text_file(file("marked.npy")));
  const test::ProgramRun piped =
      test::run_shell("\"$0\" run '" + common[0] + "' --fill 1 --output y=/dev/stdout | cat");
  EXPECT_EQ(piped.code, 0);
  expect_said(piped.output, "NUMPY");
  expect_said(piped.output, "y: fp16 [2, 3]  min 2");
  expect_said(run_to("y=" + at("none/y.npy"), 1),
              file("none/y.npy").string() + ": cannot create: No such file or directory");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  run_to("y=/dev/null", 0);
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  fs::create_directory(file("folder"));
  expect_said(run_to("y=" + at("folder"), 1), "Is a directory");
  // A link stays one.
  fs::create_symlink(file("plain.npy"), file("link.npy"));
  run_to("z=" + at("link.npy"), 0);
  EXPECT_TRUE(fs::is_symlink(file("link.npy")));
  EXPECT_EQ(read_npy(file("plain.npy")).dtype, DType::int32);
}

TEST_F(RunCommand, LeavesNothingOfAnOutputThatCouldNotBeWritten) {
  ASSERT_EQ(write_file_atomically(file("large.mil"), kLargeProgram).message, "");
  const auto run_limited = [&](const std::string& flags) {
    // Files of more than a few blocks cannot be written.
    const test::ProgramRun ran = test::run_shell("trap '' XFSZ; ulimit -f 8; \"$0\" run '" +
                                                 file("large.mil").string() + "' " + flags);
    EXPECT_EQ(ran.code, 1) << ran.output;
    return ran.output;
  };
  const std::string path = file("y.npy").string();
  const std::string flags = "--engine reference --fill zeros --output 'y=" + path + "'";
  expect_said(run_limited(flags), "anemone: error: " + path + ": cannot write: File too large");
  EXPECT_FALSE(fs::exists(path));
  ASSERT_EQ(write_file_atomically(path, "what was there").message, "");
  run_limited(flags);
  EXPECT_EQ(read_text_file(path), "what was there");
  EXPECT_FALSE(fs::exists(path + ".tmp"));
  if (!fs::is_character_file("/dev/full")) return;
  expect_said(run({file("model.mil").string(), "--fill", "1", "--output", "y=/dev/full"}, 1),
              "/dev/full: cannot write: No space left on device");
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

}  // namespace
}  // namespace anemone

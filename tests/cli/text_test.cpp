// The program itself on MIL text: check, print, version, and what it says to wrong command lines.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "anemone/base/file.h"
#include "tests/support/process.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

struct Outcome {
  int code;
  std::string output;
};

Outcome run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program_path().string());
  Process process(arguments);
  const int code = process.wait();
  return {code, process.output()};
}

class MilFiles : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    const auto path = folder_.path() / name;
    std::ofstream(path) << text;
    return path.string();
  }
  std::string program(const std::string& body) {
    return "program(1.3)\n{\n    func main<ios18>(tensor<fp16, [1, 4]> x) {\n            " + body +
           "\n        } -> (y);\n}\n";
  }
  const std::string good_ = program("tensor<fp16, [1, 4]> y = softmax(axis = int32(1), x = x);");
  const std::string bad_ = program("tensor<fp16, [1, 4]> y = softmax(axis = int32(4), x = x);");
  TemporaryDirectory folder_;
};

TEST_F(MilFiles, AreChecked) {
  const std::string file = write("good.mil", good_);
  const Outcome outcome = run({"check", file});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.output, file + ": ok: program(1.3), 1 function, 1 operations, 1 constants\n");
}

TEST_F(MilFiles, WithErrorsAreShown) {
  const std::string file = write("bad.mil", bad_);
  const Outcome outcome = run({"check", write("good.mil", good_), file});
  EXPECT_EQ(outcome.code, 1);
  const std::string problem =
      file +
      ":4:38: error: softmax: axis 4 is out of range for a tensor of rank 2 (allowed: -2..1)\n"
      "                tensor<fp16, [1, 4]> y = softmax(axis = int32(4), x = x);\n"
      "                                         ^\n";
  EXPECT_NE(outcome.output.find("good.mil: ok"), std::string::npos);
  EXPECT_NE(outcome.output.find(problem + "1 error in " + file + "\n"), std::string::npos)
      << outcome.output;
}

TEST_F(MilFiles, AreReportedAsJson) {
  const Outcome outcome = run({"check", "--json", write("bad.mil", bad_)});
  EXPECT_EQ(outcome.code, 1);
  const auto report = nlohmann::json::parse(outcome.output);
  ASSERT_EQ(report.size(), 1u);
  EXPECT_EQ(report[0]["errors"], 1);
  EXPECT_EQ(report[0]["diagnostics"][0]["line"], 4);
  EXPECT_EQ(report[0]["diagnostics"][0]["column"], 38);
}

TEST_F(MilFiles, AreCheckedWithTheirWeights) {
  const std::string file = write(
      "w.mil", program("tensor<fp16, [4]> w = const()[val = tensor<fp16, [4]>(BLOBFILE(path = "
                       "string(\"@model_path/w.bin\"), offset = uint64(64)))];\n"
                       "tensor<fp16, [1, 4]> y = add(x = x, y = w);"));
  EXPECT_EQ(run({"check", file}).code, 0);
  const Outcome outcome = run({"check", "--weights", file});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.output.find("w.bin: cannot open"), std::string::npos);
}

TEST_F(MilFiles, ArePrinted) {
  const std::string file = write("good.mil", good_);
  EXPECT_EQ(run({"print", file}).output, good_);
  const Outcome old = run({"print", "--version", "1.0", file});
  EXPECT_EQ(old.code, 0);
  EXPECT_NE(old.output.find("axis = tensor<int32, []>(1)"), std::string::npos);
  EXPECT_EQ(run({"print", "--version", "1.1", file}).code, 2);
}

TEST_F(MilFiles, WithErrorsAreNotPrinted) {
  const std::string file = write("bad.mil", bad_);
  const Outcome outcome = run({"print", file});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.output.find("bad.mil:4:38: error: softmax: axis 4"), std::string::npos);
  EXPECT_NE(outcome.output.find("\nanemone: error: 1 error in " + file + "\n"), std::string::npos);
}

TEST_F(MilFiles, ThatAreNotThereAreErrors) {
  const std::string file = (folder_.path() / "none.mil").string();
  for (const std::string command : {"check", "print"}) {
    const Outcome outcome = run({command, file});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.output,
              "anemone: error: " + file + ": cannot open: No such file or directory\n");
  }
}

TEST(CommandLine, WrongOnesExitWithTwo) {
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({"check"}).code, 2);
  EXPECT_EQ(run({"check", "--unknown", "x.mil"}).code, 2);
  const Outcome outcome = run({"chekc"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.output,
            "anemone: error: unknown subcommand 'chekc'; did you mean 'check'?\n"
            "See `anemone --help`.\n");
}

TEST(CommandLine, OutputThatCannotBeWrittenIsAnError) {
  if (!std::filesystem::is_character_file("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  Process process({"/bin/sh", "-c", "'" + program_path().string() + "' version > /dev/full"});
  EXPECT_EQ(process.wait(), 1);
  EXPECT_EQ(process.output(),
            "anemone: error: cannot write standard output: No space left on device\n");
}

TEST(CommandLine, HelpNamesExamplesAndExitCodes) {
  const Outcome program = run({"--help"});
  EXPECT_EQ(program.code, 0);
  EXPECT_NE(program.output.find("Exit codes:"), std::string::npos);
  for (const std::string command : {"check", "print", "version"}) {
    EXPECT_NE(program.output.find("\n  " + command), std::string::npos);
    const Outcome help = run({command, "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_NE(help.output.find("Examples:\n  anemone " + command), std::string::npos);
  }
}

TEST(CommandLine, VersionNamesTheBuild) {
  const Outcome outcome = run({"version"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* part : {"anemone ", "commit", "compiler", "ISA        plain"}) {
    EXPECT_NE(outcome.output.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace anemone::test

// The program itself as a linter: text, JSON, rules, and exit codes.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

ProgramRun lint(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "lint");
  return run_program(std::move(arguments));
}

class Lint : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& body) {
    const auto path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "program(1.3)\n"
                           "[buildInfo = dict<string, string>({{\"coremlc-version\", \"1\"}})]\n"
                           "{\n    func main<ios18>(tensor<fp16, [1, 64, 1, 64]> a) {\n"
                           "            " +
                               body + "\n        } -> (r);\n}\n";
    return path.string();
  }
  const std::string good_ = "tensor<fp16, [1, 64, 1, 64]> r = tanh(x = a);";
  const std::string unsure_ = "tensor<fp16, [1, 64, 1, 64]> r = exp(x = a);";
  const std::string bad_ = "tensor<fp16, [1, 64, 1, 64]> r = gelu(x = a);";
  TemporaryDirectory folder_;
};

TEST_F(Lint, ShowsFindingsOnTheirLines) {
  const std::string file = write("bad.mil", bad_);
  const ProgramRun outcome = lint({file, "--target", "m4"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(outcome.says(
      file +
      ":5:46: error: gelu: does not give mode. Give mode, or write it with tanh or erf. "
      "[ANE013, B]\n"
      "                tensor<fp16, [1, 64, 1, 64]> r = gelu(x = a);\n"
      "                                                 ^\n"))
      << outcome.output;
  EXPECT_TRUE(outcome.says(file + ": 1 error, 0 warnings, 2 notes for h16 (M4, M4 Pro"))
      << outcome.output;
}

TEST_F(Lint, WarningsFailOnlyWhenAsked) {
  const std::string file = write("unsure.mil", unsure_);
  EXPECT_EQ(lint({file, "--target", "m4"}).code, 0);
  EXPECT_EQ(lint({file, "--target", "m4", "--werror"}).code, 1);
  EXPECT_EQ(lint({write("good.mil", good_), "--target", "m4", "--werror"}).code, 0);
}

TEST_F(Lint, LooksAtAllFilesAndAtFolders) {
  write("model.mlmodelc/model.mil", bad_);
  const ProgramRun outcome =
      lint({(folder_.path() / "none.mil").string(), write("good.mil", good_),
            (folder_.path() / "model.mlmodelc").string(), "--target", "h16"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(outcome.says("none.mil: cannot open"));
  EXPECT_TRUE(outcome.says("good.mil: 0 errors, 0 warnings"));
  EXPECT_TRUE(outcome.says("model.mlmodelc/model.mil:5:46: error: gelu"));
}

TEST_F(Lint, ReadsStandardInput) {
  const ProgramRun piped =
      run_shell("\"$0\" lint - --target m4 < '" + write("bad.mil", bad_) + "'");
  EXPECT_EQ(piped.code, 1);
  EXPECT_TRUE(piped.says("<stdin>:5:46: error: gelu")) << piped.output;
}

// What export writes for a target has no errors there.
TEST_F(Lint, ExportedForATargetHasNoErrors) {
  for (const std::string target : {"m1", "m4"}) {
    const std::string out = (folder_.path() / target).string();
    const ProgramRun exported =
        run_program({"export", "--config", (source_root() / "configs/layer.toml").string(),
                     "--target", target, "--set", "model.dim=64", "--set", "model.hidden=128",
                     "--set", "model.heads=2", "--set", "model.seq=64", "--out", out});
    ASSERT_EQ(exported.code, 0) << exported.output;
    std::vector<std::string> line = {"--target", target, "--weights"};
    for (const auto& entry : std::filesystem::directory_iterator(out)) {
      line.push_back(entry.path().string());
    }
    ASSERT_EQ(line.size(), 3U + 6U);
    const ProgramRun outcome = lint(line);
    EXPECT_EQ(outcome.code, 0) << outcome.output;
  }
}

TEST_F(Lint, ReportsJson) {
  const ProgramRun outcome = lint({write("bad.mil", bad_), "--target", "m4", "--json"});
  EXPECT_EQ(outcome.code, 1);
  const auto report = nlohmann::json::parse(outcome.output);
  ASSERT_EQ(report.size(), 1U);
  EXPECT_EQ(report[0]["target"], "h16");
  EXPECT_EQ(report[0]["errors"], 1);
  EXPECT_EQ(report[0]["estimates"][0]["port_bytes"], 2 * 2 * 64 * 64);
  bool found = false;
  for (const auto& finding : report[0]["findings"]) {
    if (finding["id"] != "ANE013") continue;
    found = true;
    EXPECT_EQ(finding["severity"], "error");
    EXPECT_EQ(finding["line"], 5);
    EXPECT_EQ(finding["column"], 46);
    EXPECT_EQ(finding["certainty"], "B");
    EXPECT_EQ(finding["value"], "r");
  }
  EXPECT_TRUE(found);
}

TEST_F(Lint, FilesThatAreNotThereAreInTheJson) {
  const std::string file = (folder_.path() / "none.mil").string();
  const auto report = nlohmann::json::parse(lint({file, "--target", "m4", "--json"}).output);
  EXPECT_EQ(report[0]["file"], file);
  EXPECT_EQ(report[0]["errors"], 1);
  EXPECT_EQ(report[0]["problems"][0]["message"], "cannot open: No such file or directory");
}

TEST_F(Lint, LooksAtWeightsWhenAsked) {
  const std::string file =
      write("w.mil",
            "tensor<fp16, [1, 64, 1, 64]> w = const()[val = tensor<fp16, [1, 64, 1, 64]>("
            "BLOBFILE(path = string(\"@model_path/w.bin\"), offset = uint64(64)))];\n"
            "tensor<fp16, [1, 64, 1, 64]> r = add(x = a, y = w);");
  EXPECT_EQ(lint({file, "--target", "m4"}).code, 0);
  const ProgramRun outcome = lint({file, "--target", "m4", "--weights"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(outcome.says("w.bin: cannot open")) << outcome.output;
  EXPECT_TRUE(outcome.says("[ANE050, A]")) << outcome.output;
}

TEST_F(Lint, WhatIsNotMilIsNotJudged) {
  const ProgramRun outcome =
      lint({write("broken.mil", "tensor<fp16, [1]> r = tanh(x = ;"), "--target", "m4"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(outcome.says("error: expected a name or a typed value"));
  EXPECT_FALSE(outcome.says("ANE")) << outcome.output;
}

TEST_F(Lint, TellsOfRules) {
  const ProgramRun one = lint({"--explain", "ANE035"});
  EXPECT_EQ(one.code, 0);
  EXPECT_EQ(one.output.find("ANE035: A convolution's weight is constant\n"), 0U);
  EXPECT_TRUE(one.says("certainty B"));
  const ProgramRun two = lint({"--explain", "53", "--explain", "ane52"});
  EXPECT_TRUE(two.says("ANE053") && two.says("ANE052") && two.says("no: it is about"));
  const ProgramRun list = lint({"--list"});
  EXPECT_EQ(std::count(list.output.begin(), list.output.end(), '\n'), 94);
  const auto report = nlohmann::json::parse(lint({"--list", "--json"}).output);
  EXPECT_EQ(report.size(), 94U);
  EXPECT_EQ(report[34]["id"], "ANE035");
}

TEST_F(Lint, WrongCommandLinesExitWithTwo) {
  const std::string file = write("good.mil", good_);
  const ProgramRun missing = lint({file});
  EXPECT_EQ(missing.code, 2);
  EXPECT_TRUE(missing.says("no --target is given (expected h13, m1")) << missing.output;
  for (const std::vector<std::string>& line :
       std::vector<std::vector<std::string>>{{"--target", "m4"},
                                             {file, "--target", "m9"},
                                             {file, "--target", "m4", "--macos", "12"},
                                             {"--explain", "ANE099"},
                                             {"--list", "--explain", "ANE001"}}) {
    EXPECT_EQ(lint(line).code, 2) << line.back();
  }
}

TEST_F(Lint, TheSystemDecidesTheHeader) {
  const std::string file = write("good.mil", good_);
  EXPECT_FALSE(lint({file, "--target", "m4"}).says("ANE004"));
  EXPECT_TRUE(lint({file, "--target", "m4", "--macos", "14"}).says("[ANE004, E]"));
  EXPECT_EQ(lint({file, "--target", "m1"}).code, 1);
}

}  // namespace
}  // namespace anemone::test

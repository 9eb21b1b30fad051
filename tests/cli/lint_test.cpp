// The program itself as a linter: text, JSON, rules, and exit codes.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

struct Outcome {
  int code;
  std::string output;
  bool has(const std::string& part) const { return output.find(part) != std::string::npos; }
};

Outcome run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program_path().string());
  arguments.insert(arguments.begin() + 1, "lint");
  Process process(arguments);
  const int code = process.wait();
  return {code, process.output()};
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
  const Outcome outcome = run({file, "--target", "m4"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(outcome.has(
      file +
      ":5:46: error: gelu: does not give mode. Give mode, or write it with tanh or erf. "
      "[ANE013, B]\n"
      "                tensor<fp16, [1, 64, 1, 64]> r = gelu(x = a);\n"
      "                                                 ^\n"))
      << outcome.output;
  EXPECT_TRUE(outcome.has(file + ": 1 error, 0 warnings, 2 notes for h16 (M4, M4 Pro"))
      << outcome.output;
}

TEST_F(Lint, WarningsFailOnlyWhenAsked) {
  const std::string file = write("unsure.mil", unsure_);
  EXPECT_EQ(run({file, "--target", "m4"}).code, 0);
  EXPECT_EQ(run({file, "--target", "m4", "--werror"}).code, 1);
  EXPECT_EQ(run({write("good.mil", good_), "--target", "m4", "--werror"}).code, 0);
}

TEST_F(Lint, LooksAtAllFilesAndAtFolders) {
  write("model.mlmodelc/model.mil", bad_);
  const Outcome outcome = run({(folder_.path() / "none.mil").string(), write("good.mil", good_),
                               (folder_.path() / "model.mlmodelc").string(), "--target", "h16"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(outcome.has("none.mil: cannot open"));
  EXPECT_TRUE(outcome.has("good.mil: 0 errors, 0 warnings"));
  EXPECT_TRUE(outcome.has("model.mlmodelc/model.mil:5:46: error: gelu"));
}

TEST_F(Lint, ReadsStandardInput) {
  Process process(
      {"/bin/sh", "-c",
       "'" + program_path().string() + "' lint - --target m4 < '" + write("bad.mil", bad_) + "'"});
  EXPECT_EQ(process.wait(), 1);
  EXPECT_NE(process.output().find("<stdin>:5:46: error: gelu"), std::string::npos);
}

// What export writes for a target has no errors there.
TEST_F(Lint, ExportedForATargetHasNoErrors) {
  for (const std::string target : {"m1", "m4"}) {
    const std::string out = (folder_.path() / target).string();
    Process process({program_path().string(), "export", "--config",
                     (source_root() / "configs/layer.toml").string(), "--target", target, "--set",
                     "model.dim=64", "--set", "model.hidden=128", "--set", "model.heads=2", "--set",
                     "model.seq=64", "--out", out});
    ASSERT_EQ(process.wait(), 0) << process.output();
    std::vector<std::string> line = {"--target", target, "--weights"};
    for (const auto& entry : std::filesystem::directory_iterator(out)) {
      line.push_back(entry.path().string());
    }
    ASSERT_EQ(line.size(), 3U + 6U);
    const Outcome outcome = run(line);
    EXPECT_EQ(outcome.code, 0) << outcome.output;
  }
}

TEST_F(Lint, ReportsJson) {
  const Outcome outcome = run({write("bad.mil", bad_), "--target", "m4", "--json"});
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
  const auto report = nlohmann::json::parse(run({file, "--target", "m4", "--json"}).output);
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
  EXPECT_EQ(run({file, "--target", "m4"}).code, 0);
  const Outcome outcome = run({file, "--target", "m4", "--weights"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(outcome.has("w.bin: cannot open")) << outcome.output;
  EXPECT_TRUE(outcome.has("[ANE050, A]")) << outcome.output;
}

TEST_F(Lint, WhatIsNotMilIsNotJudged) {
  const Outcome outcome =
      run({write("broken.mil", "tensor<fp16, [1]> r = tanh(x = ;"), "--target", "m4"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(outcome.has("error: expected a name or a typed value"));
  EXPECT_FALSE(outcome.has("ANE")) << outcome.output;
}

TEST_F(Lint, TellsOfRules) {
  const Outcome one = run({"--explain", "ANE035"});
  EXPECT_EQ(one.code, 0);
  EXPECT_EQ(one.output.find("ANE035: A convolution's weight is constant\n"), 0U);
  EXPECT_TRUE(one.has("certainty B"));
  const Outcome two = run({"--explain", "53", "--explain", "ane52"});
  EXPECT_TRUE(two.has("ANE053") && two.has("ANE052") && two.has("no: it is about"));
  const Outcome list = run({"--list"});
  EXPECT_EQ(std::count(list.output.begin(), list.output.end(), '\n'), 94);
  const auto report = nlohmann::json::parse(run({"--list", "--json"}).output);
  EXPECT_EQ(report.size(), 94U);
  EXPECT_EQ(report[34]["id"], "ANE035");
}

TEST_F(Lint, WrongCommandLinesExitWithTwo) {
  const std::string file = write("good.mil", good_);
  const Outcome missing = run({file});
  EXPECT_EQ(missing.code, 2);
  EXPECT_TRUE(missing.has("no --target is given (expected h13, m1")) << missing.output;
  for (const std::vector<std::string>& line :
       std::vector<std::vector<std::string>>{{"--target", "m4"},
                                             {file, "--target", "m9"},
                                             {file, "--target", "m4", "--macos", "12"},
                                             {"--explain", "ANE099"},
                                             {"--list", "--explain", "ANE001"}}) {
    EXPECT_EQ(run(line).code, 2) << line.back();
  }
}

TEST_F(Lint, TheSystemDecidesTheHeader) {
  const std::string file = write("good.mil", good_);
  EXPECT_FALSE(run({file, "--target", "m4"}).has("ANE004"));
  EXPECT_TRUE(run({file, "--target", "m4", "--macos", "14"}).has("[ANE004, E]"));
  EXPECT_EQ(run({file, "--target", "m1"}).code, 1);
}

}  // namespace
}  // namespace anemone::test

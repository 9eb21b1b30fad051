// The program itself on MIL text: check, print, version, and what it says to wrong command lines.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "anemone/base/file.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

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
  const ProgramRun outcome = run_program({"check", file});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.output, file + ": ok: program(1.3), 1 function, 1 operation, 1 constant\n");
}

TEST_F(MilFiles, WithErrorsAreShown) {
  const std::string file = write("bad.mil", bad_);
  const ProgramRun outcome = run_program({"check", write("good.mil", good_), file});
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
  const ProgramRun outcome = run_program({"check", "--json", write("bad.mil", bad_)});
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
  EXPECT_EQ(run_program({"check", file}).code, 0);
  const ProgramRun outcome = run_program({"check", "--weights", file});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.output.find("w.bin: cannot open"), std::string::npos);
}

TEST_F(MilFiles, ArePrinted) {
  const std::string file = write("good.mil", good_);
  EXPECT_EQ(run_program({"print", file}).output, good_);
  const ProgramRun old = run_program({"print", "--version", "1.0", file});
  EXPECT_EQ(old.code, 0);
  EXPECT_NE(old.output.find("axis = tensor<int32, []>(1)"), std::string::npos);
  EXPECT_EQ(run_program({"print", "--version", "1.1", file}).code, 2);
}

TEST_F(MilFiles, WithErrorsAreNotPrinted) {
  const std::string file = write("bad.mil", bad_);
  const ProgramRun outcome = run_program({"print", file});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.output.find("bad.mil:4:38: error: softmax: axis 4"), std::string::npos);
  EXPECT_NE(outcome.output.find("\nanemone: error: 1 error in " + file + "\n"), std::string::npos);
}

TEST_F(MilFiles, ThatAreNotThereAreErrors) {
  const std::string file = (folder_.path() / "none.mil").string();
  for (const std::string command : {"check", "print"}) {
    const ProgramRun outcome = run_program({command, file});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.output,
              "anemone: error: " + file + ": cannot open: No such file or directory\n");
  }
}

// One error, whatever the size.
TEST_F(MilFiles, ThatAreBinaryAreNoText) {
  const std::string image = write("image.bin", "");
  std::filesystem::resize_file(image, std::uintmax_t{1} << 36);  // a hole: takes no space
  std::string noise = "PK\x03\x04";
  for (int i = 0; i < 100'000; ++i) noise += static_cast<char>(i * 7919 >> 3);
  const std::string archive = write("archive.zip", noise);
  const std::string wide = write("wide.mil", std::string("\xff\xfep\0r\0", 6));
  for (const std::string command : {"check", "print", "run"}) {
    const ProgramRun outcome = run_program({command, image});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.output.find(image + ":1:1: error: not MIL text: byte 0x00 (expected UTF-8 "
                                          "without control characters)\n"),
              0U)
        << outcome.output;
    const ProgramRun packed = run_program({command, archive});
    EXPECT_EQ(packed.code, 1);
    EXPECT_EQ(packed.output.find(archive + ":1:3: error: not MIL text: byte 0x03"), 0U)
        << packed.output;
    EXPECT_NE(packed.output.find("1 error in " + archive + "\n"), std::string::npos);
    for (const char c : packed.output) EXPECT_TRUE(c == '\n' || c >= 0x20 || c < 0) << int{c};
    EXPECT_NE(run_program({command, wide}).output.find("not MIL text: UTF-16 (expected UTF-8)"),
              std::string::npos);
  }
}

TEST_F(MilFiles, MayBeginWithAByteOrderMark) {
  EXPECT_EQ(run_program({"check", write("good.mil", "\xef\xbb\xbf" + good_)}).code, 0);
  const std::string file = write("bad.mil", "\xef\xbb\xbf  module(1.3)");
  const ProgramRun outcome = run_program({"check", file});
  EXPECT_EQ(outcome.output,
            file +
                ":1:3: error: expected 'program(1.0)' or 'program(1.3)', found 'module'\n"
                "      module(1.3)\n"
                "      ^\n"
                "1 error in " +
                file + "\n");
}

TEST_F(MilFiles, ComeFromStandardInput) {
  const auto piped = [&](const std::string& file, const std::string& command) {
    return run_shell("cat '" + file + "' | \"$0\" " + command);
  };
  const std::string good = write("good.mil", good_), bad = write("bad.mil", bad_);
  EXPECT_EQ(piped(good, "print -").output, good_);
  EXPECT_EQ(piped(good, "check -").output,
            "<stdin>: ok: program(1.3), 1 function, 1 operation, 1 constant\n");
  EXPECT_EQ(piped(good, "run - --fill zeros").code, 0);
  const ProgramRun outcome = piped(bad, "check -");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.output.find("<stdin>:4:38: error: softmax"), std::string::npos);
}

TEST_F(MilFiles, MayLieInTheFolderOfAModel) {
  const std::string folder = folder_.path().string();
  EXPECT_EQ(run_program({"print", folder}).output,
            "anemone: error: " + folder +
                ": is a folder without a model.mil (expected MIL text, or "
                "the folder of a compiled model)\n");
  write("model.mil", good_);
  EXPECT_EQ(run_program({"print", folder}).output, good_);
  EXPECT_EQ(run_program({"check", folder}).output.find(folder + "/model.mil: ok"), 0U);
}

TEST_F(MilFiles, ThatAreEmptyAreErrors) {
  const std::string file = write("empty.mil", "");
  for (const std::string command : {"check", "print"}) {
    const ProgramRun outcome = run_program({command, file});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.output.find(file + ":1:1: error: expected 'program(1.0)' or 'program(1.3)', "
                                         "found the end of the text\n"),
              0U)
        << outcome.output;
  }
}

TEST_F(MilFiles, AreAllCheckedWhenOneCannotBeRead) {
  const std::string none = (folder_.path() / "none.mil").string();
  const std::string good = write("good.mil", good_);
  const ProgramRun outcome = run_program({"check", none, good});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.output.find(none + ": cannot open: No such"), std::string::npos);
  EXPECT_NE(outcome.output.find(good + ": ok"), std::string::npos);
  const ProgramRun json = run_program({"check", "--json", none, good});
  EXPECT_EQ(json.code, 1);
  const auto report = nlohmann::json::parse(json.output);
  EXPECT_EQ(report[0]["diagnostics"][0]["message"], "cannot open: No such file or directory");
  EXPECT_EQ(report[1]["errors"], 0);
}

TEST_F(MilFiles, OfAnUnknownOpsetGiveAWarning) {
  std::string text = good_;
  text.replace(text.find("ios18"), 5, "ios99");
  const std::string file = write("new.mil", text);
  const ProgramRun outcome = run_program({"check", file});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(
      outcome.output.find(file + ":3:15: warning: unknown opset 'ios99' (known: ios15, ios16, "
                                 "ios17, ios18, ios26)\n"),
      0U)
      << outcome.output;
  EXPECT_NE(outcome.output.find(file + ": ok: "), std::string::npos);
}

TEST(CommandLine, WrongOnesExitWithTwo) {
  EXPECT_EQ(run_program({}).code, 2);
  EXPECT_EQ(run_program({"check"}).code, 2);
  EXPECT_EQ(run_program({"check", "--unknown", "x.mil"}).code, 2);
  const ProgramRun outcome = run_program({"chekc"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.output,
            "anemone: error: unknown subcommand 'chekc'; did you mean 'check'?\n"
            "See `anemone --help`.\n");
}

TEST(CommandLine, AnUnknownFlagIsToldTheNearest) {
  const ProgramRun train = run_program({"train", "--txt", "book.txt"});
  EXPECT_EQ(train.code, 2);
  EXPECT_EQ(train.output,
            "anemone: error: unknown flag '--txt'; did you mean '--text'?\n"
            "See `anemone train --help`.\n");
  const ProgramRun step = run_program({"bench", "step", "--presicion=fp16"});
  EXPECT_EQ(step.code, 2);
  EXPECT_EQ(step.output,
            "anemone: error: unknown flag '--presicion'; did you mean '--precision'?\n"
            "See `anemone bench step --help`.\n");
}

TEST(CommandLine, HelpIsASubcommandToo) {
  EXPECT_EQ(run_program({"help"}).output, run_program({"--help"}).output);
  const ProgramRun train = run_program({"help", "train"});
  EXPECT_EQ(train.code, 0);
  EXPECT_EQ(train.output, run_program({"train", "--help"}).output);
}

TEST(CommandLine, OutputThatCannotBeWrittenIsAnError) {
  if (!std::filesystem::is_character_file("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  const ProgramRun full = run_shell("\"$0\" version > /dev/full");
  EXPECT_EQ(full.code, 1);
  EXPECT_EQ(full.output, "anemone: error: cannot write standard output: No space left on device\n");
}

TEST(CommandLine, HelpNamesExamplesAndExitCodes) {
  const ProgramRun program = run_program({"--help"});
  EXPECT_EQ(program.code, 0);
  EXPECT_NE(program.output.find("Exit codes:"), std::string::npos);
  for (const std::string command : {"check", "print", "version"}) {
    EXPECT_NE(program.output.find("\n  " + command), std::string::npos);
    const ProgramRun help = run_program({command, "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_NE(help.output.find("Examples:\n  anemone " + command), std::string::npos);
  }
}

TEST(CommandLine, VersionNamesTheBuild) {
  const ProgramRun outcome = run_program({"version"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* part : {"anemone ", "commit", "compiler", "ISA        plain"}) {
    EXPECT_NE(outcome.output.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace anemone::test

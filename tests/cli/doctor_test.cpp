// `anemone doctor`: its JSON has the facts that scripts rely on, and a folder that cannot be
// written is a problem.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "anemone/base/file.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace anemone {
namespace {

TEST(DoctorCommand, TellsTheFactsAsJson) {
  const test::TemporaryDirectory folder;
  const test::ProgramRun ran =
      test::run_program({"doctor", "--json", "--quick", "--dir", folder.path().string()});
  ASSERT_EQ(ran.code, 0) << ran.output;
  const auto facts = nlohmann::json::parse(ran.output);
  EXPECT_GE(facts["processor"]["threads"].get<int>(), 1);
  EXPECT_EQ(facts["processor"]["isa"][0], "plain");
  EXPECT_GT(facts["memory"]["total_bytes"].get<double>(), 0);
  EXPECT_GT(facts["disk"]["free_bytes"].get<double>(), 0);
  EXPECT_EQ(facts["engines"][0]["name"], "reference");
  EXPECT_EQ(facts["engines"][0]["available"], true);
}

TEST(DoctorCommand, FindsAFolderThatCannotBeWritten) {
#ifdef __APPLE__
  const char* const folder = "/System";
#else
  const char* const folder = "/proc";
#endif
  const test::ProgramRun ran = test::run_program({"doctor", "--dir", folder});
  EXPECT_EQ(ran.code, 1);
  EXPECT_TRUE(ran.says("cannot write")) << ran.output;
}

TEST(DoctorCommand, SaysThatAFolderIsNone) {
  const test::TemporaryDirectory folder;
  const std::string file = (folder.path() / "file").string();
  ASSERT_EQ(write_file_atomically(file, "text").message, "");
  const auto run = [](const std::string& directory, int code) {
    const test::ProgramRun ran = test::run_program({"doctor", "--quick", "--dir", directory});
    EXPECT_EQ(ran.code, code);
    return ran.output;
  };
  EXPECT_EQ(run("/nonexistent", 1), "anemone: error: /nonexistent: there is no such folder\n");
  EXPECT_EQ(run(file, 1), "anemone: error: " + file + ": is not a folder\n");
  EXPECT_EQ(run("", 2), "anemone: error: --dir: no folder is given\n");
}

TEST(DoctorCommand, LeavesNothingBehind) {
  const test::TemporaryDirectory folder;
  const test::ProgramRun ran = test::run_program({"doctor", "--dir", folder.path().string()});
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_TRUE(ran.says("MB/s synced")) << ran.output;
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace anemone

// `anemone doctor`: its JSON has the facts that scripts rely on, and a folder that cannot be
// written is a problem.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/process.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone {
namespace {

TEST(DoctorCommand, TellsTheFactsAsJson) {
  const test::TemporaryDirectory folder;
  test::Process process({test::program_path().string(), "doctor", "--json", "--quick", "--dir",
                         folder.path().string()});
  ASSERT_EQ(process.wait(), 0) << process.output();
  const auto facts = nlohmann::json::parse(process.output());
  EXPECT_GE(facts["processor"]["threads"].get<int>(), 1);
  EXPECT_EQ(facts["processor"]["isa"][0], "plain");
  EXPECT_GT(facts["memory"]["total_bytes"].get<double>(), 0);
  EXPECT_GT(facts["disk"]["free_bytes"].get<double>(), 0);
  EXPECT_EQ(facts["engines"][0]["name"], "reference");
  EXPECT_EQ(facts["engines"][0]["available"], true);
}

TEST(DoctorCommand, FindsAFolderThatCannotBeWritten) {
  test::Process process({test::program_path().string(), "doctor", "--dir", "/proc"});
  EXPECT_EQ(process.wait(), 1);
  EXPECT_NE(process.output().find("cannot write"), std::string::npos) << process.output();
}

TEST(DoctorCommand, LeavesNothingBehind) {
  const test::TemporaryDirectory folder;
  test::Process process({test::program_path().string(), "doctor", "--dir", folder.path().string()});
  EXPECT_EQ(process.wait(), 0) << process.output();
  EXPECT_NE(process.output().find("MB/s synced"), std::string::npos) << process.output();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace anemone

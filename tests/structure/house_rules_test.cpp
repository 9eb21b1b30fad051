// Rules of the house that a program can check: sizes, who prints, what has a home of its own.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/structure/source_tree.h"
#include "tests/support/shared.h"

namespace anemone::test {
namespace {

using Finder = std::vector<std::string> (*)(const SourceFile&, const std::string&);

// Every line of code below anemone/ that `find` finds, except in the folders or files given.
std::vector<std::string> offenders_of(Finder find, const std::string& expression,
                                      const std::vector<std::string>& homes) {
  std::vector<std::string> found;
  for (const SourceFile& file : source_files("anemone")) {
    bool at_home = false;
    for (const std::string& home : homes) at_home |= file.path == home || file.is_under(home);
    if (at_home) continue;
    for (std::string& line : find(file, expression)) found.push_back(std::move(line));
  }
  return found;
}

TEST(HouseRules, FilesAreSmall) {
  constexpr size_t kWarn = 450, kLimit = 600;
  for (const std::string folder : {"anemone", "tests"}) {
    for (const SourceFile& file : source_files(folder)) {
      EXPECT_LE(file.lines.size(), kLimit) << file.path << " is too long: split it by subject";
      if (file.lines.size() > kWarn) {
        GTEST_LOG_(WARNING) << file.path << " has " << file.lines.size() << " lines";
      }
    }
  }
}

TEST(HouseRules, FilesSayWhatTheyAre) {
  for (const SourceFile& file : source_files("anemone")) {
    ASSERT_FALSE(file.lines.empty()) << file.path << " is empty";
    EXPECT_EQ(file.lines[0].rfind("//", 0), 0U) << file.path << " opens without a comment";
    if (!file.is_header()) continue;
    EXPECT_FALSE(lines_matching(file, "^#pragma once$").empty()) << file.path;
  }
}

TEST(HouseRules, OnlyTheProgramPrints) {
  const auto offenders = offenders_of(
      lines_with_word,
      "v?f?printf|f?puts|putchar|perror|std::(cout|cerr|clog)|fmt::print|#include <iostream>",
      {"anemone/cli"});
  EXPECT_TRUE(offenders.empty()) << "printing outside anemone/cli:" << join(offenders);
}

TEST(HouseRules, NoTileIntrinsics) {
  const auto offenders =
      offenders_of(lines_matching, "_tile_(dp|load|store|zero|release|stream)", {});
  EXPECT_TRUE(offenders.empty())
      << "g++ 12 miscompiles the tile intrinsics: use the inline-assembly header:"
      << join(offenders);
}

TEST(HouseRules, NoModelNumbersInCode) {
  std::vector<std::string> offenders;
  for (const std::string folder : {"anemone/nn", "anemone/train", "anemone/engine"}) {
    for (const SourceFile& file : source_files("anemone")) {
      if (!file.is_under(folder)) continue;
      for (std::string& line : lines_with_word(file, "768|2048|32000")) {
        offenders.push_back(std::move(line));
      }
    }
  }
  EXPECT_TRUE(offenders.empty()) << "numbers of a model belong in configs/:" << join(offenders);
}

TEST(HouseRules, OnlyTheLanguageWritesItsText) {
  const auto offenders = offenders_of(lines_matching, "tensor<(fp16|fp32)", {"anemone/mil"});
  EXPECT_TRUE(offenders.empty()) << "MIL text outside anemone/mil:" << join(offenders);
}

// What is the same on all engines knows none of them, not even in a comment.
TEST(HouseRules, TheTrainerKnowsNoNeuralEngine) {
  std::vector<std::string> offenders;
  for (SourceFile& file : source_files("anemone")) {
    if (!file.is_under("anemone/train")) continue;
    file.code = file.lines;  // comments count here
    for (std::string& line : lines_with_word(file, "ANE|ane|Neural|Apple|IOSurface"))
      offenders.push_back(std::move(line));
  }
  EXPECT_TRUE(offenders.empty()) << join(offenders);
}

TEST(HouseRules, NothingLeftOpen) {
  std::vector<std::string> offenders;
  for (SourceFile& file : source_files("anemone")) {
    file.code = file.lines;  // comments count here
    for (std::string& line : lines_with_word(file, "TODO|FIXME|XXX|unimplemented")) {
      offenders.push_back(std::move(line));
    }
  }
  EXPECT_TRUE(offenders.empty()) << join(offenders);
}

// A chapter that code, tests or other chapters point to is there.
TEST(HouseRules, ChaptersNamedExist) {
  std::vector<SourceFile> files = source_files("anemone");
  for (SourceFile& file : source_files("tests")) files.push_back(std::move(file));
  for (SourceFile& file : text_files("docs", ".md")) files.push_back(std::move(file));
  for (const SourceFile& file : files) {
    for (const std::string& line : file.lines) {
      for (size_t at = line.find("docs/"); at != std::string::npos;
           at = line.find("docs/", at + 1)) {
        const size_t end = line.find_first_not_of(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-", at);
        if (end == std::string::npos || line.compare(end, 3, ".md") != 0) continue;
        const std::string chapter = line.substr(at, end + 3 - at);
        EXPECT_TRUE(std::filesystem::exists(source_root() / chapter))
            << file.path << " names " << chapter;
      }
    }
  }
}

TEST(SourceTree, BlanksComments) {
  EXPECT_EQ(without_comments("a // b\nc"), "a     \nc");
  EXPECT_EQ(without_comments("a /* b\nc */ d"), "a     \n     d");
  EXPECT_EQ(without_comments(R"(f("// no") + '"' // yes)"), R"(f("// no") + '"'       )");
  EXPECT_EQ(without_comments("65'536 // x"), "65'536     ");
}

}  // namespace
}  // namespace anemone::test

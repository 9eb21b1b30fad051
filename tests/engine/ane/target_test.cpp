// The table of targets, and the ways to name one.
#include "anemone/engine/ane/target.h"

#include <gtest/gtest.h>

#include <string>

#include "anemone/base/error.h"
#include "anemone/engine/ane/numerics_profile.h"

namespace anemone::engine::ane {
namespace {

TEST(Target, IsFoundByGenerationAndByChip) {
  const std::pair<const char*, const char*> names[] = {
      {"h13", "h13"},    {"h13g", "h13"},   {"m1", "h13"},           {"M1 Ultra", "h13"},
      {"m2-max", "h14"}, {"m3-pro", "h15"}, {"h15g", "h15"},         {"m4", "h16"},
      {"m4pro", "h16"},  {"m5", "h16"},     {"Apple M5 Max", "h17"}, {"m5_max", "h17"},
      {"H17", "h17"},
  };
  for (const auto& [name, expected] : names) EXPECT_EQ(find_target(name).name, expected) << name;
}

TEST(Target, EverySpellingNamesItsRow) {
  for (const Target& target : targets()) {
    const std::string names = spellings(target);
    for (std::size_t begin = 0; begin < names.size();) {
      const std::size_t end = std::min(names.find(", ", begin), names.size());
      EXPECT_EQ(find_target(names.substr(begin, end - begin)).name, target.name);
      begin = end + 2;
    }
  }
}

TEST(Target, UnknownOnesNameWhatThereIs) {
  for (const char* name : {"", "h1", "h18", "h16gg", "m", "m6", "m4-", "m4-ultra-max", "a17"}) {
    try {
      find_target(name);
      ADD_FAILURE() << name << " is a target";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("h13, m1, m1-pro"), std::string::npos);
    }
  }
}

TEST(Target, TheSystemDecidesTheHeader) {
  const auto header = [](const char* name, const char* macos) {
    const Target target = find_target(name, macos);
    return std::string(target.program_version) + " " + std::string(target.opset);
  };
  EXPECT_EQ(header("m1", ""), "1.0 ios16");
  EXPECT_EQ(header("m2", "26.3"), "1.0 ios16");
  EXPECT_EQ(header("m4", ""), "1.3 ios18");
  EXPECT_EQ(header("m4", "15.3"), "1.3 ios18");
  EXPECT_EQ(header("m4", "14.7"), "1.0 ios17");
  EXPECT_EQ(header("m3", "13"), "1.0 ios16");
  EXPECT_EQ(header("m5-max", "26.3.1"), "1.3 ios18");
  for (const Target& target : targets()) {
    const std::string macos = std::to_string(target.macos.major);
    EXPECT_EQ(find_target(target.name, macos).opset, target.opset) << target.name;
  }
}

TEST(Target, VersionsOfTheSystemAreChecked) {
  EXPECT_EQ(parse_macos("26.3"), (MacOs{26, 3}));
  for (const char* text : {"12", "x", "15.", "15.x", "15.1.", "15.1.x", "-15", "99999999999"}) {
    EXPECT_THROW(parse_macos(text), Error) << text;
  }
}

TEST(Target, EveryFactNamesItsRule) {
  for (const Target& target : targets()) {
    const Takes& takes = target.takes;
    const Quirks& quirks = target.quirks;
    for (const Fact& fact :
         {takes.fp32_io, takes.silu, takes.rsqrt, takes.reduce_mean, takes.pow, takes.sin_cos,
          takes.blob_records, takes.constant_matmul, takes.narrow_broadcast, takes.runtime_matmul,
          quirks.products_flush_subnormals, quirks.width_slice_gain}) {
      EXPECT_GE(fact.rule, 1) << target.name;
      EXPECT_LE(fact.rule, 94) << target.name;
    }
  }
}

// "M4 Pro" is an m4.
const NumericsProfile& profile_of(std::string_view chip) {
  std::string name(chip.substr(0, 2));
  name[0] = 'm';
  return numerics_profile(name);
}

TEST(Target, QuirksAreThoseOfTheChips) {
  for (const Target& target : targets()) {
    bool flushes = false, crops = false;
    std::string_view rest = target.chips;
    while (!rest.empty()) {
      const NumericsProfile& profile = profile_of(rest);
      EXPECT_NE(profile.chip.find(target.name), std::string_view::npos)
          << profile.chip << " names another generation than " << target.name;
      flushes |= profile.flushes_products;
      crops |= profile.crops_with_gain;
      const std::size_t comma = rest.find(", ");
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 2);
    }
    EXPECT_EQ(target.quirks.products_flush_subnormals.holds, flushes) << target.name;
    EXPECT_EQ(target.quirks.width_slice_gain.holds, crops) << target.name;
  }
}

}  // namespace
}  // namespace anemone::engine::ane

// Streams of text: whole characters, stop strings over several pieces, nothing lost.
#include "anemone/model/text_stream.h"

#include <gtest/gtest.h>

#include <random>

#include "anemone/base/error.h"

namespace anemone::model {
namespace {

// What goes out at each piece.
std::vector<std::string> stream(const std::vector<std::string>& stops,
                                const std::vector<std::string>& pieces) {
  std::vector<std::string> out;
  TextStream stream(stops, [&](std::string_view text) { out.back() += text; });
  for (const std::string& piece : pieces) {
    out.emplace_back();
    if (stream.push(piece)) out.back() += "|";
  }
  out.emplace_back();
  stream.finish();
  return out;
}
using Pieces = std::vector<std::string>;

TEST(TextStream, LetsTextThroughAtOnce) {
  EXPECT_EQ(stream({}, {"Once", " upon", ""}), (Pieces{"Once", " upon", "", ""}));
}

TEST(TextStream, WaitsForWholeCharacters) {
  EXPECT_EQ(stream({}, {"a\xe2", "\x82", "\xac z"}), (Pieces{"a", "", "\xe2\x82\xac z", ""}));
  EXPECT_EQ(stream({}, {"\xf0\x9f\x99", "\x82"}), (Pieces{"", "\xf0\x9f\x99\x82", ""}));
  // What never becomes one goes out as it is.
  EXPECT_EQ(stream({}, {"\xe2", "abc"}), (Pieces{"",
                                                 "\xe2"
                                                 "abc",
                                                 ""}));
  EXPECT_EQ(stream({}, {"x\xe2\x82"}), (Pieces{"x", "\xe2\x82"}));
  EXPECT_EQ(stream({}, {"\xff\x80"}), (Pieces{"\xff\x80", ""}));
}

TEST(TextStream, StopsWithinAndAcrossPieces) {
  EXPECT_EQ(stream({"\n\n"}, {"one\n\ntwo"}), (Pieces{"one|", ""}));
  EXPECT_EQ(stream({"\n\n"}, {"one\n", "\ntwo"}), (Pieces{"one", "|", ""}));
  EXPECT_EQ(stream({"\n\n"}, {"one\n", "two"}), (Pieces{"one", "\ntwo", ""}));
  EXPECT_EQ(stream({"END"}, {"E", "N", "E", "ND", "more"}), (Pieces{"", "", "EN", "|", "|", ""}));
  EXPECT_EQ(stream({"END"}, {"xEN"}), (Pieces{"x", "EN"}));
  // The first of several in the text.
  EXPECT_EQ(stream({"b", "a"}, {"xxabc"}), (Pieces{"xx|", ""}));
  // One that begins like another.
  EXPECT_EQ(stream({"abcd", "bx"}, {"abc", "bx"}), (Pieces{"", "abc|", ""}));
}

TEST(TextStream, CharactersAndStopsWaitTogether) {
  EXPECT_EQ(stream({"\xac!"}, {"\xe2\x82", "\xac", "."}), (Pieces{"", "", "\xe2\x82\xac.", ""}));
  EXPECT_EQ(stream({"€"}, {"1 \xe2\x82", "\xac"}), (Pieces{"1 ", "|", ""}));
}

TEST(TextStream, AnEmptyStopIsAnError) { EXPECT_THROW(TextStream({""}, {}), Error); }

// Cut anywhere, a text comes out as it is up to the first stop string.
TEST(TextStream, HowTextIsCutDoesNotMatter) {
  std::minstd_rand random(3);
  for (int trial = 0; trial < 3000; ++trial) {
    std::string text;
    const char* const parts[] = {"a", "b", "ab", "€", "é", "🙂", "\n"};
    for (unsigned i = 0; i < random() % 12; ++i) text += parts[random() % 7];
    const std::vector<std::string> stops = {"abb", "€a", "\n"};
    std::size_t end = text.size();
    for (const std::string& stop : stops) end = std::min(end, text.find(stop));
    TextStream stream(stops, {});
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + random() % 4;
      if (stream.push(std::string_view(text).substr(at, size))) break;
      at += size;
    }
    stream.finish();
    EXPECT_EQ(stream.text(), text.substr(0, end));
  }
}

}  // namespace
}  // namespace anemone::model

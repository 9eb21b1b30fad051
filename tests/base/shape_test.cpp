// Shapes: sizes, overflow, axes.
#include "anemone/base/shape.h"

#include <gtest/gtest.h>

#include "anemone/base/error.h"

namespace anemone {
namespace {

TEST(Shape, CountsElements) {
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ((Shape{2, 3, 4}).elements(), 24);
  EXPECT_EQ((Shape{2, 0, 4}).elements(), 0);
  EXPECT_EQ((Shape{2, Shape::kUnknown}).checked_elements(), std::nullopt);
}

TEST(Shape, NoticesOverflow) {
  const std::int64_t big = std::int64_t{1} << 40;
  EXPECT_EQ((Shape{big, big}).checked_elements(), std::nullopt);
  EXPECT_EQ((Shape{big, big, 0}).checked_elements(), std::nullopt) << "refused before the zero";
  EXPECT_EQ((Shape{big, 1 << 10}).checked_elements(), std::int64_t{1} << 50);
}

TEST(Shape, InsertsAndErases) {
  Shape shape{2, 4};
  shape.insert(1, 3);
  shape.insert(0, 1);
  shape.push_back(5);
  EXPECT_EQ(shape, (Shape{1, 2, 3, 4, 5}));
  shape.erase(0);
  shape.erase(3);
  EXPECT_EQ(shape, (Shape{2, 3, 4}));
  EXPECT_EQ(shape.to_string(), "[2, 3, 4]");
  EXPECT_EQ((Shape{1, Shape::kUnknown}).to_string(), "[1, ?]");
}

TEST(Shape, RefusesRankNine) {
  Shape shape{1, 1, 1, 1, 1, 1, 1, 1};
  EXPECT_THROW(shape.push_back(1), Error);
}

TEST(Shape, StridesAreRowMajor) {
  const Strides strides = contiguous_strides({2, 3, 4});
  EXPECT_EQ(strides[0], 12);
  EXPECT_EQ(strides[1], 4);
  EXPECT_EQ(strides[2], 1);
}

TEST(Shape, NormalizesAxes) {
  EXPECT_EQ(normalize_axis(-1, 4), 3);
  EXPECT_EQ(normalize_axis(-4, 4), 0);
  EXPECT_EQ(normalize_axis(4, 4), std::nullopt);
  EXPECT_EQ(normalize_axis(-5, 4), std::nullopt);
  EXPECT_EQ(normalize_axis(0, 0), std::nullopt);
}

TEST(Error, SaysWhatWhereAndWhatWasExpected) {
  const Error error("axis 4 is out of range", "model.mil:3:8", "-4..3");
  EXPECT_STREQ(error.what(), "model.mil:3:8: axis 4 is out of range (expected -4..3)");
  EXPECT_STREQ(Error("bad").what(), "bad");
}

}  // namespace
}  // namespace anemone

// The 16-bit float types, over all their values.
#include "anemone/base/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "anemone/base/element.h"

namespace anemone {
namespace {

constexpr int kPatterns = 1 << 16;

f16 half(int pattern) { return {static_cast<std::uint16_t>(pattern)}; }

// The definition of binary16, from its fields.
double meaning(f16 value) {
  const int sign = value.bits >> 15, exponent = (value.bits >> 10) & 31,
            fraction = value.bits & 1023;
  double magnitude = 0;
  if (exponent == 31) {
    magnitude = fraction == 0 ? std::numeric_limits<double>::infinity() : std::nan("");
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, -24);
  } else {
    magnitude = std::ldexp(1024 + fraction, exponent - 25);
  }
  return sign ? -magnitude : magnitude;
}

TEST(F16, EveryPatternMeansWhatTheStandardSays) {
  for (int pattern = 0; pattern < kPatterns; ++pattern) {
    const double expected = meaning(half(pattern));
    const float got = to_float(half(pattern));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(got)) << pattern;
    } else {
      EXPECT_EQ(static_cast<double>(got), expected) << pattern;
      EXPECT_EQ(f16_from_float(got).bits, pattern) << "round trip";
    }
  }
}

TEST(F16, RoundsToNearestEvenBetweenAllNeighbours) {
  for (int pattern = 0; pattern < 0x7bff; ++pattern) {
    const double low = meaning(half(pattern)), high = meaning(half(pattern + 1));
    const double middle = (low + high) / 2;
    const int even = pattern % 2 == 0 ? pattern : pattern + 1;
    EXPECT_EQ(f16_from_double(middle).bits, even);
    EXPECT_EQ(f16_from_double(std::nextafter(middle, 0)).bits, pattern);
    EXPECT_EQ(f16_from_double(std::nextafter(middle, 1e9)).bits, pattern + 1);
    EXPECT_EQ(f16_from_double(-middle).bits, even | 0x8000);
  }
}

TEST(F16, OverflowsToInfinityAndKeepsNan) {
  EXPECT_EQ(f16_from_double(65519.999).bits, 0x7bff);
  EXPECT_EQ(f16_from_double(65520).bits, 0x7c00);
  EXPECT_EQ(f16_from_double(-1e300).bits, 0xfc00);
  EXPECT_TRUE(std::isnan(to_float(f16_from_double(std::nan("")))));
  EXPECT_EQ(f16_from_double(-1e-300).bits, 0x8000);
}

// 1 + 2^-11 + 2^-40 lies above the middle of two halves, but a float in between would land on the
// middle.
TEST(F16, RoundsADoubleOnce) {
  const double value = 1 + std::ldexp(1, -11) + std::ldexp(1, -40);
  EXPECT_EQ(meaning(f16_from_double(value)), 1 + std::ldexp(1, -10));
}

TEST(Bf16, IsTheUpperHalfOfAFloat) {
  for (int pattern = 0; pattern < kPatterns; ++pattern) {
    const float value = to_float(bf16{static_cast<std::uint16_t>(pattern)});
    if (std::isnan(value)) continue;
    EXPECT_EQ(bf16_from_float(value).bits, pattern);
  }
  EXPECT_EQ(bf16_from_float(1 + 0x1p-8f).bits, 0x3f80) << "a tie goes to even";
  EXPECT_EQ(bf16_from_float(1 + 0x1.8p-8f).bits, 0x3f81);
  EXPECT_TRUE(std::isnan(to_float(bf16_from_float(std::nanf("")))));
}

TEST(Element, IntegersSaturate) {
  EXPECT_EQ(round_to(DType::int8, 300), 127);
  EXPECT_EQ(round_to(DType::uint8, -5), 0);
  EXPECT_EQ(round_to(DType::int32, 2.9), 2);
  EXPECT_EQ(round_to(DType::int32, -2.9), -2);
  EXPECT_EQ(round_to(DType::int32, 1e300), 2147483647.0);
  EXPECT_EQ(round_to(DType::int32, std::nan("")), 0);
  EXPECT_EQ(round_to(DType::boolean, 0.25), 1);
}

TEST(Element, StoresAndLoadsAtAnyAlignment) {
  std::byte memory[32] = {};
  for (const DType type :
       {DType::fp16, DType::bf16, DType::fp32, DType::fp64, DType::int16, DType::uint64}) {
    store_element(type, memory + 1, 2, 3.5);
    EXPECT_EQ(load_element(type, memory + 1, 2), is_integer(type) ? 3.0 : 3.5) << dtype_name(type);
  }
}

}  // namespace
}  // namespace anemone

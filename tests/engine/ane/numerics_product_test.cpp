// Products of the emulated Neural Engine: every published probe, and products that must be exact.
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "tests/engine/ane/emulated.h"
#include "tests/support/numbers.h"

namespace anemone::test {
namespace {

std::vector<double> repeat(const std::vector<double>& part, int times) {
  std::vector<double> whole;
  for (int i = 0; i < times; ++i) whole.insert(whole.end(), part.begin(), part.end());
  return whole;
}

TEST(AneProducts, SaturateAtTwoToTheFifteen) {
  for (const std::string& ane : ane_profiles()) {
    EXPECT_EQ(dot(ane, {32752}, {1}), 32752) << ane;
    EXPECT_EQ(dot(ane, {32768}, {1}), kInf) << ane;
    EXPECT_EQ(dot(ane, {-32768}, {1}), -kInf) << ane;
    EXPECT_EQ(dot(ane, {200, 1}, {160, 752}), 32752) << ane;
    EXPECT_EQ(dot(ane, {16384, 16384}, {1, 1}), kInf) << ane;
    EXPECT_EQ(dot(ane, {-128, 16384}, {128, -1}), -kInf) << ane;
  }
  EXPECT_EQ(dot("exact", {16384, 16384}, {1, 1}), 32768);
}

TEST(AneProducts, SaturateInsideASum) {
  const std::vector<double> there_and_back = {30000, 30000, -30000, 1};
  EXPECT_EQ(sum("exact", there_and_back), 30000);
  for (const std::string ane : {"ane:m1", "ane:m2", "ane:m4", "ane:m5"}) {
    EXPECT_EQ(sum(ane, there_and_back), kInf) << ane;
    EXPECT_EQ(sum(ane, {-30000, -30000, 30000, 30000, 30000}), -kInf) << ane;
    // Behind the first four, too.
    EXPECT_EQ(sum(ane, {0, 1, 2, 3, 4, 30000, 30000, -30000, 1}), kInf) << ane;
  }
  EXPECT_EQ(sum("ane:m3", there_and_back), 0);
  EXPECT_EQ(sum("ane:m3", repeat({32768, -32768, 1}, 16)), 0);
}

TEST(AneProducts, OneChannelConvolutionHasAllOfFp16) {
  const Build conv = [](mil::Builder& b, const std::vector<mil::Value>& in) {
    return b.conv({{"x", in[0]}, {"weight", in[1]}});
  };
  for (const std::string& ane : ane_profiles()) {
    const Tensor x = {{1, 1, 1, 3}, {60000, -60000, 1}}, weight = {{1, 1, 1, 1}, {1}};
    EXPECT_EQ(emulate(ane, {x, weight}, conv), (std::vector<double>{fp16(60000), -fp16(60000), 1}));
    const Tensor two = {{1, 2, 1, 1}, {0, 60000}}, weights = {{1, 2, 1, 1}, {1, 1}};
    EXPECT_EQ(emulate(ane, {two, weights}, conv), (std::vector<double>{kInf})) << ane;
  }
}

// The published sum that shows the first stage of the M1: a value beside ones that fp16 has no
// room for, of which only its tile of four loses some.
TEST(AneProducts, OnlyTheM1RoundsInTilesOfFour) {
  std::vector<double> x(1025, 1.0);
  x[0] = 4096;
  EXPECT_EQ(sum("exact", x), 5120);
  EXPECT_EQ(sum("ane:m1", x), 5116);
  for (const char* ane : {"ane:m2", "ane:m3", "ane:m4", "ane:m5"}) EXPECT_EQ(sum(ane, x), 5120);
  for (const std::string& ane : ane_profiles()) {
    EXPECT_EQ(sum(ane, std::vector<double>(16000, 1.0)), 16000) << ane;
  }
}

// The published sweep: how many of sixteen ones survive between a large number and its negation.
TEST(AneProducts, CancellationSweepOfTheM1) {
  for (const auto& [large, survivors] : std::vector<std::pair<double, double>>{
           {1024, 16}, {3000, 16}, {4090, 16}, {4096, 4}, {8000, 4}, {16000, 4}, {30000, 4}}) {
    EXPECT_EQ(sum("ane:m1", repeat({large, -large, 1}, 16)), survivors) << large;
    EXPECT_EQ(sum("ane:m1", repeat({large, 1, -large}, 16)), survivors) << large;
    for (const char* ane : {"ane:m3", "ane:m4", "ane:m5"})
      EXPECT_EQ(sum(ane, repeat({large, -large, 1}, 16)), 16) << ane << " " << large;
  }
}

TEST(AneProducts, SmallProductsAreFlushedButOnTheM5) {
  const double tiny = 0x1p-24;
  const double gradient = fp16(8e-5), weight = fp16(0.036);  // seen to vanish in training on an M4
  for (const char* ane : {"ane:m1", "ane:m2", "ane:m3", "ane:m4"}) {
    EXPECT_EQ(sum(ane, std::vector<double>(16, tiny)), 0) << ane;
    EXPECT_EQ(dot(ane, {gradient}, {weight}), 0) << ane;
    // Scaled, it is there: rounded once or twice.
    const double scaled = gradient * 256 * weight;
    EXPECT_NEAR(dot(ane, {gradient * 256}, {weight}), scaled, scaled * 0x1p-10) << ane;
    EXPECT_EQ(dot(ane, {0x1p-14}, {1}), 0x1p-14) << ane;
  }
  EXPECT_EQ(sum("ane:m5", std::vector<double>(16, tiny)), 16 * tiny);
  EXPECT_EQ(dot("ane:m5", {gradient}, {weight}), fp16(gradient * weight));
}

TEST(AneProducts, OnlyTheM3RoundsEachProduct) {
  // (1 + 2^-10)² = 1 + 2^-9 + 2^-20, whose last term fp16 has no room for.
  const double x = 1 + 0x1p-10;
  const std::vector<double> a = {x, -(1 + 0x1p-9)}, b = {x, 1};
  EXPECT_EQ(dot("ane:m3", a, b), 0);
  for (const char* ane : {"ane:m2", "ane:m4", "ane:m5"}) EXPECT_EQ(dot(ane, a, b), 0x1p-20) << ane;
}

TEST(AneProducts, TiesOfSums) {
  for (const char* ane : {"ane:m1", "ane:m2", "ane:m4"}) {
    EXPECT_EQ(sum(ane, {2048, 1}), 2048) << ane;
    EXPECT_EQ(sum(ane, {2048, 3}), 2052) << ane;
  }
  for (const char* ane : {"ane:m3", "ane:m5"}) {
    EXPECT_EQ(sum(ane, {2048, 1}), 2050) << ane;
    EXPECT_EQ(sum(ane, {-2048, -1}), -2050) << ane;
    EXPECT_EQ(sum(ane, {2048, 3}), 2052) << ane;
    EXPECT_EQ(sum(ane, {2048, 0.5}), 2048) << ane;
  }
}

TEST(AneProducts, NeverMakeNaN) {
  for (const std::string& ane : ane_profiles()) {
    EXPECT_EQ(sum(ane, {kInf, -kInf, 5}), 0) << ane;
    EXPECT_EQ(dot(ane, {0, 5}, {kInf, 1}), 5) << ane;
    EXPECT_EQ(sum(ane, {1, 2, 3, 4, 5, -kInf}), -kInf) << ane;
    EXPECT_EQ(sum(ane, {NAN, 1}), kInf) << ane;
  }
}

// Small whole numbers, whose sums every arithmetic has exactly: sizes that end within a block.
TEST(AneProducts, ExactWhereNothingRounds) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> number(-4, 4);
  const auto tensor = [&](const Shape& shape) {
    Tensor t{shape, std::vector<double>(static_cast<std::size_t>(shape.elements()))};
    for (double& value : t.values) value = number(random);
    return t;
  };
  for (const auto& [m, n, k] : std::vector<std::tuple<int, int, int>>{
           {1, 1, 1}, {2, 8, 4}, {3, 9, 5}, {5, 17, 31}, {7, 3, 2}, {4, 16, 0}, {1, 12, 40}}) {
    const Tensor x = tensor({2, m, k}), y = tensor({1, k, n});
    const Build matmul = [](mil::Builder& b, const std::vector<mil::Value>& in) {
      return b.matmul({{"x", in[0]}, {"y", in[1]}});
    };
    for (const std::string& ane : ane_profiles())
      EXPECT_EQ(emulate(ane, {x, y}, matmul), emulate("exact", {x, y}, matmul)) << m << n << k;
  }
  const Tensor image = tensor({2, 4, 5, 7}), weight = tensor({6, 2, 3, 2}), bias = tensor({6});
  const Build conv = [](mil::Builder& b, const std::vector<mil::Value>& in) {
    return b.conv({{"x", in[0]},
                   {"weight", in[1]},
                   {"bias", in[2]},
                   {"strides", std::vector<std::int64_t>{2, 1}},
                   {"pad_type", "custom"},
                   {"pad", std::vector<std::int64_t>{1, 0, 2, 1}},
                   {"dilations", std::vector<std::int64_t>{1, 2}},
                   {"groups", 2}});
  };
  for (const std::string& ane : ane_profiles())
    EXPECT_EQ(emulate(ane, {image, weight, bias}, conv),
              emulate("exact", {image, weight, bias}, conv));
}

// An overflow in one element of a product is that element's alone.
TEST(AneProducts, OneOverflowSpoilsOneElement) {
  const std::int64_t size = 11;
  Tensor x{{size, size}, std::vector<double>(static_cast<std::size_t>(size * size), 1.0)};
  Tensor y = x;
  for (std::size_t k = 0; k < 11; ++k) {
    x.values[4 * 11 + k] = 200;
    y.values[k * 11 + 9] = 200;
  }
  for (const std::string& ane : ane_profiles()) {
    const auto out = emulate(ane, {x, y}, [](mil::Builder& b, const std::vector<mil::Value>& in) {
      return b.matmul({{"x", in[0]}, {"y", in[1]}});
    });
    for (std::size_t i = 0; i < 11; ++i) {
      for (std::size_t j = 0; j < 11; ++j) {
        const double spoiled = ane == "ane:m3" ? 0 : kInf;
        const double wanted = i == 4 && j == 9 ? spoiled : i == 4 || j == 9 ? 2200 : 11;
        EXPECT_EQ(out[i * 11 + j], wanted) << ane << " " << i << " " << j;
      }
    }
  }
}

}  // namespace
}  // namespace anemone::test

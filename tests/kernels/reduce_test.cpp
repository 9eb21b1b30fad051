// Slot reductions: every length up to a few vectors, NaN, infinities, and the middle part of a
// softmax.
#include "anemone/kernels/reduce/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/numbers.h"
#include "tests/support/tensors.h"

namespace anemone::kernels {
namespace {

using test::kEps;
using test::kInf;

class ReduceKernels : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!cpu_features().has(row().isa)) GTEST_SKIP() << "this processor has no " << row().name;
  }
  const ReduceKernel& row() const { return reduce_kernels().rows[GetParam()]; }
};

INSTANTIATE_TEST_SUITE_P(, ReduceKernels, testing::Range(0, reduce_kernels().count));

TEST_P(ReduceKernels, AgreeWithDoubleAtEveryLength) {
  for (std::ptrdiff_t n = 0; n <= 150; ++n) {
    test::Buffer slot(DType::fp32, n);
    slot.fill_random(static_cast<std::uint32_t>(n), -2, 3);
    const auto* values = reinterpret_cast<const float*>(slot.data());
    double sum = 0, magnitude = 0, square = 0, max = -kInf, min = kInf;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      sum += slot.get(i);
      magnitude += std::abs(slot.get(i));
      square += slot.get(i) * slot.get(i);
      max = std::max(max, slot.get(i));
      min = std::min(min, slot.get(i));
    }
    const double roundings = static_cast<double>(n + 1);
    EXPECT_NEAR(row().reduce(ReduceOp::sum, values, n), sum, roundings * kEps * magnitude);
    EXPECT_NEAR(row().reduce(ReduceOp::sum_square, values, n), square,
                2 * roundings * kEps * square);
    EXPECT_EQ(row().reduce(ReduceOp::max, values, n), max);
    EXPECT_EQ(row().reduce(ReduceOp::min, values, n), min);
  }
}

TEST_P(ReduceKernels, PropagateNaNFromAnyPlace) {
  alignas(64) float slot[80];
  for (int at = 0; at < 75; ++at) {
    for (int i = 0; i < 80; ++i) slot[i] = static_cast<float>(i);
    slot[at] = std::numeric_limits<float>::quiet_NaN();
    for (const ReduceOp op : {ReduceOp::sum, ReduceOp::sum_square, ReduceOp::max, ReduceOp::min}) {
      EXPECT_TRUE(std::isnan(row().reduce(op, slot, 75))) << at;
      alignas(64) float accumulator[80] = {};
      row().accumulate(op, accumulator, slot, 75);
      EXPECT_TRUE(std::isnan(accumulator[at])) << at;
    }
    EXPECT_FALSE(std::isnan(row().reduce(ReduceOp::sum, slot + at + 1, 75 - at - 1)));
  }
}

TEST_P(ReduceKernels, Accumulate) {
  alignas(64) float sum[32], slot[32];
  for (int i = 0; i < 32; ++i) slot[i] = static_cast<float>(i) - 10;
  const auto after = [&](ReduceOp op, float start) {
    std::fill_n(sum, 32, start);
    row().accumulate(op, sum, slot, 20);
    return sum[3];
  };
  EXPECT_EQ(after(ReduceOp::sum, 1), -6);
  EXPECT_EQ(after(ReduceOp::mean, 1), -6);
  EXPECT_EQ(after(ReduceOp::sum_square, 1), 50);
  EXPECT_EQ(after(ReduceOp::max, 1), 1);
  EXPECT_EQ(after(ReduceOp::min, 1), -7);
}

TEST_P(ReduceKernels, ExpSumAndScale) {
  for (std::ptrdiff_t n = 1; n <= 100; ++n) {
    alignas(64) float slot[112], before[112];
    for (int i = 0; i < 112; ++i) before[i] = slot[i] = static_cast<float>(i % 13) - 20;
    const float got = row().exp_sum(slot, n, -8);
    double sum = 0;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const double e = std::exp(static_cast<double>(before[i]) + 8);
      EXPECT_NEAR(slot[i], e, 2 * 2 * test::half_ulp(DType::fp32, e));  // 2 ulp
      sum += e;
    }
    EXPECT_NEAR(got, sum, static_cast<double>(n + 4) * kEps * sum);
    row().scale(slot, n, 0.5f);
    EXPECT_NEAR(slot[n - 1], 0.5 * std::exp(static_cast<double>(before[n - 1]) + 8), 1e-6);
  }
}

}  // namespace
}  // namespace anemone::kernels

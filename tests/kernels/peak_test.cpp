// Each peak kernel computes what its table says it counts.
#include "anemone/kernels/peak/peak.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/amx.h"

namespace anemone::kernels {
namespace {

class PeakKernels : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(, PeakKernels, testing::Range(0, peak_kernels().count));

// Rounds add up: in fp32 x becomes x · factor + term, with limit term / (1 - factor); dot products
// add the same number every round.
TEST_P(PeakKernels, Compute) {
  const PeakKernel& row = peak_kernels().rows[GetParam()];
  if (!test::amx_features().has(row.isa)) GTEST_SKIP() << "this processor has no " << row.name;
  const auto run = [&row](std::int64_t rounds) {
    return static_cast<double>(row.run(rounds, 0.5f, 0.25f));
  };
  if (row.type == DType::bf16) {
    EXPECT_GT(run(2), run(1));
    EXPECT_EQ(run(5) - run(4), run(2) - run(1)) << "exact in these small numbers";
  } else {
    EXPECT_NE(run(1), run(2));
    EXPECT_NEAR(run(300), run(600), 1e-4) << "the limit";
  }
}

// Operations of a round, from the result: what a round adds is (factor · term) for each product
// that goes into one number.
TEST(AmxPeak, CountsItsOperations) {
  for (const PeakKernel& row : peak_kernels()) {
    if (row.isa != Isa::amx || !test::amx_features().has(row.isa)) continue;
    const double products = (row.run(3, 0.5f, 0.25f) - row.run(2, 0.5f, 0.25f)) / (0.5 * 0.25);
    EXPECT_EQ(products, 32);
    EXPECT_EQ(row.flops_per_round, 6 * 16 * 16 * products * 2);
  }
}

}  // namespace
}  // namespace anemone::kernels

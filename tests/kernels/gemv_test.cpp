// Matrix times vector: every number of lanes and depths up to a few vectors, both orders, all
// types, reading and writing nothing beside the matrix and the result.
#include "anemone/kernels/gemv/gemv.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tensors.h"

namespace anemone::kernels {
namespace {

class GemvKernels : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!cpu_features().has(row().isa)) GTEST_SKIP() << "this processor has no " << row().name;
  }
  const GemvKernel& row() const { return gemv_kernels().rows[GetParam()]; }

  void check(DType type, bool by_columns, std::ptrdiff_t lanes, std::ptrdiff_t depth) {
    const std::ptrdiff_t stride = (by_columns ? lanes : depth) + 3;
    const std::ptrdiff_t others = by_columns ? depth : lanes;
    const std::ptrdiff_t extent = (others - 1) * stride + (by_columns ? lanes : depth);
    test::Buffer matrix(type, extent, 1), x(DType::fp32, depth, 1);
    matrix.fill_random(static_cast<std::uint32_t>(lanes));
    x.fill_random(static_cast<std::uint32_t>(depth));
    const std::ptrdiff_t room = (lanes + 15) / 16 * 16;
    test::Buffer y(DType::fp32, room, 1);
    const GemvArgs args{type,   matrix.data(),
                        stride, reinterpret_cast<const float*>(x.data()),
                        depth,  reinterpret_cast<float*>(y.data()),
                        lanes};
    (by_columns ? row().by_columns : row().by_rows)(args);
    EXPECT_TRUE(y.guards_intact());
    for (std::ptrdiff_t l = 0; l < lanes; ++l) {
      double sum = 0, magnitude = 0;
      for (std::ptrdiff_t p = 0; p < depth; ++p) {
        const double term = matrix.get(by_columns ? p * stride + l : l * stride + p) * x.get(p);
        sum += term;
        magnitude += std::abs(term);
      }
      ASSERT_NEAR(y.get(l), sum, static_cast<double>(depth + 1) * 0x1p-24 * magnitude)
          << dtype_name(type) << (by_columns ? " columns " : " rows ") << lanes << " x " << depth;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(, GemvKernels, testing::Range(0, gemv_kernels().count));

TEST_P(GemvKernels, AgreeWithDoubleAtEverySize) {
  for (const DType type : {DType::fp16, DType::bf16, DType::fp32}) {
    for (const bool by_columns : {true, false}) {
      for (std::ptrdiff_t lanes = 1; lanes <= 70; ++lanes)
        for (const std::ptrdiff_t depth : {1, 3, 8, 17, 64}) check(type, by_columns, lanes, depth);
      for (std::ptrdiff_t depth = 1; depth <= 70; ++depth)
        for (const std::ptrdiff_t lanes : {1, 7, 33}) check(type, by_columns, lanes, depth);
    }
  }
}

TEST_P(GemvKernels, OfNothing) {
  float y[16];
  for (GemvFn* function : {row().by_columns, row().by_rows}) {
    y[2] = 5;
    function({DType::fp16, nullptr, 1, nullptr, 0, y, 3});
    EXPECT_EQ(y[2], 0);
  }
}

}  // namespace
}  // namespace anemone::kernels

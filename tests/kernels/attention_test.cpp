// The steps between the products of attention, row by row of the table, against double: every
// number of rows and columns around whole vectors, what lies outside untouched, NaN and infinities.
#include "anemone/kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/numbers.h"
#include "tests/support/tensors.h"

namespace anemone::kernels {
namespace {

using test::kEps;
using test::kInf;
using test::kNan;

constexpr int kStride = 48;  // three vectors of the widest instruction set
constexpr float kFactor = 0.3f;

class AttentionKernels : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!cpu_features().has(row().isa)) GTEST_SKIP() << "this processor has no " << row().name;
  }
  const AttentionKernel& row() const { return attention_kernels().rows[GetParam()]; }
};

INSTANTIATE_TEST_SUITE_P(, AttentionKernels, testing::Range(0, attention_kernels().count));

// Random numbers between guards.
class Block {
 public:
  Block(std::ptrdiff_t rows, int columns, std::uint32_t seed, double low = -2, double high = 3)
      : rows_(rows),
        columns_(columns),
        buffer_(DType::fp32, std::max<std::ptrdiff_t>(rows, 1) * kStride) {
    buffer_.fill_random(seed, low, high);
  }
  ScoreBlock block() {
    return {reinterpret_cast<float*>(buffer_.data()), kStride, rows_, columns_};
  }
  double operator()(std::ptrdiff_t i, int j) const { return buffer_.get(i * kStride + j); }
  void set(std::ptrdiff_t i, int j, double value) { buffer_.set(i * kStride + j, value); }
  // Only columns up to a whole vector of 16 may be others than in `before`.
  bool changed_only_columns(const Block& before) const {
    const int written = (columns_ + 15) / 16 * 16;
    for (std::ptrdiff_t i = 0; i < rows_; ++i) {
      for (int j = written; j < kStride; ++j) {
        if ((*this)(i, j) != before(i, j)) return false;
      }
    }
    return buffer_.guards_intact();
  }

 private:
  std::ptrdiff_t rows_;
  int columns_;
  test::Buffer buffer_;
};

template <class Check>
void for_sizes(Check check) {
  for (const std::ptrdiff_t rows : {0, 1, 2, 3, 7, 14, 33, 200}) {
    for (const int columns : {1, 4, 5, 8, 9, 16, 17, 31, 32, 33, 48}) check(rows, columns);
  }
}

TEST_P(AttentionKernels, MaximaOfColumns) {
  for_sizes([&](std::ptrdiff_t rows, int columns) {
    Block scores(rows, columns, 1);
    alignas(64) float max[kStride];
    std::fill_n(max, kStride, -0.25f);
    row().max(scores.block(), kFactor, max);
    for (int j = 0; j < columns; ++j) {
      float expected = -0.25f;
      for (std::ptrdiff_t i = 0; i < rows; ++i)
        expected = std::max(expected, static_cast<float>(scores(i, j)) * kFactor);
      EXPECT_EQ(max[j], expected) << rows << " " << columns << " " << j;
    }
  });
}

TEST_P(AttentionKernels, ExponentialsAndTheirSums) {
  for_sizes([&](std::ptrdiff_t rows, int columns) {
    Block scores(rows, columns, 2, -300, 10);
    const Block before = scores;
    alignas(64) float max[kStride], sum[kStride];
    std::fill_n(max, kStride, 10 * kFactor);
    std::fill_n(sum, kStride, 0.5f);
    row().exp(scores.block(), kFactor, max, sum);
    EXPECT_TRUE(scores.changed_only_columns(before));
    for (int j = 0; j < columns; ++j) {
      double total = 0.5;
      for (std::ptrdiff_t i = 0; i < rows; ++i) {
        // The exponent is rounded as fp32 rounds a product and a difference.
        const float exponent = static_cast<float>(before(i, j)) * kFactor - max[j];
        const double exact = std::exp2(static_cast<double>(exponent));
        ASSERT_NEAR(scores(i, j), exact, 2 * 2 * test::half_ulp(DType::fp32, exact));
        total += scores(i, j);
      }
      EXPECT_NEAR(sum[j], total, static_cast<double>(rows) * kEps * total);
    }
  });
}

TEST_P(AttentionKernels, SumsOfProducts) {
  for_sizes([&](std::ptrdiff_t rows, int columns) {
    Block a(rows, columns, 3), b(rows, columns, 4);
    alignas(64) float sum[kStride];
    std::fill_n(sum, kStride, 1.0f);
    row().dot(a.block(), b.block(), sum);
    for (int j = 0; j < columns; ++j) {
      double exact = 1, magnitude = 1;
      for (std::ptrdiff_t i = 0; i < rows; ++i) {
        exact += a(i, j) * b(i, j);
        magnitude += std::abs(a(i, j) * b(i, j));
      }
      EXPECT_NEAR(sum[j], exact, 2 * static_cast<double>(rows + 1) * kEps * magnitude);
    }
  });
}

TEST_P(AttentionKernels, GradientsOfASoftmax) {
  for_sizes([&](std::ptrdiff_t rows, int columns) {
    Block weights(rows, columns, 5), gradients(rows, columns, 6);
    const Block weight = weights, gradient = gradients;
    alignas(64) float factor[kStride], mean[kStride];
    for (int j = 0; j < kStride; ++j) {
      factor[j] = 0.1f * static_cast<float>(j + 1);
      mean[j] = 0.2f * static_cast<float>(j - 7);
    }
    row().gradient(weights.block(), gradients.block(), factor, mean);
    EXPECT_TRUE(weights.changed_only_columns(weight));
    EXPECT_TRUE(gradients.changed_only_columns(gradient));
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        const double p = weight(i, j) * static_cast<double>(factor[j]);
        const double middle = static_cast<double>(mean[j]);
        EXPECT_NEAR(weights(i, j), p, kEps * std::abs(p));
        EXPECT_NEAR(gradients(i, j), p * (gradient(i, j) - middle),
                    4 * kEps * std::abs(p) * (std::abs(gradient(i, j)) + std::abs(middle)));
      }
    }
  });
}

TEST_P(AttentionKernels, FactorsOfColumns) {
  for_sizes([&](std::ptrdiff_t rows, int columns) {
    Block values(rows, columns, 7);
    const Block before = values;
    alignas(64) float factor[kStride];
    for (int j = 0; j < kStride; ++j) factor[j] = 0.1f * static_cast<float>(j + 1);
    row().scale(values.block(), factor);
    EXPECT_TRUE(values.changed_only_columns(before));
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j)
        EXPECT_EQ(values(i, j), static_cast<float>(before(i, j)) * factor[j]);
    }
  });
}

// Hidden scores weigh nothing; a NaN or an infinity in a column shows in all that is computed from
// its sum, and nowhere else.
TEST_P(AttentionKernels, SpecialValuesStayInTheirColumn) {
  constexpr std::ptrdiff_t kRows = 9;
  for (const float special : {-kInf, kInf, kNan}) {
    for (std::ptrdiff_t at = 0; at < kRows; ++at) {
      Block scores(kRows, 20, 8);
      scores.set(at, 5, special);
      alignas(64) float max[kStride], sum[kStride] = {};
      std::fill_n(max, kStride, -kInf);
      row().max(scores.block(), kFactor, max);
      row().exp(scores.block(), kFactor, max, sum);
      for (int j = 0; j < 20; ++j) {
        const bool good = j != 5 || special == -kInf;
        EXPECT_EQ(std::isfinite(sum[j]), good) << special << " in row " << at << ", column " << j;
      }
      EXPECT_EQ(scores(at, 5) == 0, special == -kInf) << special << " in row " << at;
    }
  }
}

}  // namespace
}  // namespace anemone::kernels

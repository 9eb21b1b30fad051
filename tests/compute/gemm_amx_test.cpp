// What only the AMX rows promise: whole fp16 operands as two bf16 numbers each, on any finite
// numbers; infinities that show; and which products they take.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "anemone/compute/gemm.h"
#include "tests/support/amx.h"
#include "tests/support/tensors.h"

namespace anemone::compute {
namespace {

using test::Buffer;

class AmxGemm : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::amx_features().has(Isa::amx)) GTEST_SKIP() << "neither AMX nor AVX-512 with bf16";
  }
};

GemmSpec spec_of(std::int64_t m, std::int64_t n, std::int64_t k, DType type) {
  GemmSpec spec;
  spec.m = m;
  spec.n = n;
  spec.k = k;
  spec.a = GemmOperand::rows(type, k);
  spec.b = GemmOperand::rows(type, n);
  spec.c = GemmOperand::rows(DType::fp32, n);
  return spec;
}

Buffer product(const GemmSpec& spec, const Buffer& a, const Buffer& b) {
  ThreadPool pool(1);
  const GemmPlan plan = plan_gemm(spec, test::amx_features());
  EXPECT_EQ(plan.kernel->planes, 2);
  AlignedBuffer workspace(plan.workspace_bytes(1));
  Buffer c(DType::fp32, spec.m * spec.n);
  run(pool, plan, {workspace.data(), workspace.size()},
      {a.data(), b.data(), c.data(), nullptr, nullptr, nullptr});
  return c;
}

// Any finite number with the same chance: subnormals, zeros of either sign, the largest ones.
void fill_with_any_finite(Buffer& buffer, std::mt19937& random) {
  auto* values = reinterpret_cast<f16*>(buffer.data());
  for (std::int64_t i = 0; i < buffer.size(); ++i) {
    do {
      values[i].bits = static_cast<std::uint16_t>(random());
    } while ((values[i].bits & 0x7c00u) == 0x7c00u);
  }
}

TEST_F(AmxGemm, IsRightTo2ToTheMinus16OfEveryProduct) {
  std::mt19937 random(7);
  for (int round = 0; round < 12; ++round) {
    const auto size = [&random](std::uint32_t most) {
      return static_cast<std::int64_t>(random() % most) + 1;
    };
    const std::int64_t m = size(40), n = size(40), k = size(round < 8 ? 100 : 600);
    SCOPED_TRACE(std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k));
    Buffer a(DType::fp16, m * k), b(DType::fp16, k * n);
    fill_with_any_finite(a, random);
    fill_with_any_finite(b, random);
    const Buffer c = product(spec_of(m, n, k, DType::fp16), a, b);
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = 0, magnitude = 0;
        for (std::int64_t p = 0; p < k; ++p) {
          const double term = a.get(i * k + p) * b.get(p * n + j);
          sum += term;
          magnitude += std::abs(term);
        }
        const double rounding = (2.0 * static_cast<double>(k) + 4) * 0x1p-24;
        ASSERT_LE(std::abs(c.get(i * n + j) - sum), (0x1p-16 + rounding) * magnitude)
            << i << ", " << j;
      }
    }
  }
}

// Of high and low planes every one takes part: each product alone is far closer than bf16 would be.
TEST_F(AmxGemm, KeepsWhatBf16WouldLose) {
  const double x = 1 + 0x1p-10, y = 1 - 0x1p-11;  // both become 1 in bf16
  Buffer a(DType::fp16, 1), b(DType::fp16, 1);
  a.set(0, x);
  b.set(0, y);
  const double exact = x * y, lost = 0x1p-10 * -0x1p-11;
  EXPECT_EQ(product(spec_of(1, 1, 1, DType::fp16), a, b).get(0), exact - lost);
}

TEST_F(AmxGemm, ShowsInfinities) {
  constexpr std::int64_t kSize = 40;
  Buffer a(DType::fp16, kSize * kSize), b(DType::fp16, kSize * kSize);
  a.fill_random(1);
  b.fill_random(2);
  a.set(17 * kSize + 33, std::numeric_limits<double>::infinity());
  b.set(5 * kSize + 20, -std::numeric_limits<double>::infinity());
  const Buffer c = product(spec_of(kSize, kSize, kSize, DType::fp16), a, b);
  for (std::int64_t i = 0; i < kSize; ++i) {
    for (std::int64_t j = 0; j < kSize; ++j)
      EXPECT_EQ(std::isfinite(c.get(i * kSize + j)), i != 17 && j != 20) << i << ", " << j;
  }
}

TEST_F(AmxGemm, TakesFp32OnlyWhereItMayBeRounded) {
  const auto row = [](DType a, DType b, ProductPrecision precision) {
    GemmSpec spec = spec_of(8, 8, 8, a);
    spec.b.type = b;
    spec.precision = precision;
    return plan_gemm(spec, test::amx_features()).kernel;
  };
  constexpr DType h = DType::fp16, s = DType::bf16, f = DType::fp32;
  EXPECT_EQ(row(f, f, ProductPrecision::full)->panel, f);
  EXPECT_EQ(row(h, f, ProductPrecision::full)->panel, f);
  EXPECT_EQ(row(f, h, ProductPrecision::full)->panel, f);
  EXPECT_EQ(row(h, h, ProductPrecision::full)->planes, 2);
  EXPECT_EQ(row(s, h, ProductPrecision::full)->planes, 2);
  EXPECT_EQ(row(f, f, ProductPrecision::bf16)->isa, Isa::amx);
  EXPECT_EQ(row(f, f, ProductPrecision::bf16)->planes, 1);
}

}  // namespace
}  // namespace anemone::compute

// Every elementwise operation against double, within the error its comment states; special values
// against C's functions.
#include "anemone/kernels/elementwise/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/numbers.h"
#include "tests/support/tensors.h"

namespace anemone::kernels {
namespace {

using test::kInf;
using test::kNan;

using Op = ElementwiseOp;

class ElementwiseKernels : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!cpu_features().has(row().isa)) GTEST_SKIP() << "this processor has no " << row().name;
  }
  const ElementwiseKernel& row() const { return elementwise_kernels().rows[GetParam()]; }

  // The operation on n values of a, b, c at once.
  std::vector<float> apply(Op op, std::vector<float> a, std::vector<float> b, std::vector<float> c,
                           float imm) const {
    const std::size_t n = a.size(), padded = (n + 15) / 16 * 16;
    std::vector<float> slots(4 * padded);
    std::copy(a.begin(), a.end(), slots.begin());
    std::copy(b.begin(), b.end(), slots.begin() + static_cast<std::ptrdiff_t>(padded));
    std::copy(c.begin(), c.end(), slots.begin() + static_cast<std::ptrdiff_t>(2 * padded));
    const ElementwiseStep step{op, 3, 0, 1, 2, imm};
    const auto size = static_cast<std::ptrdiff_t>(padded);
    ElementwiseOperand operands[4];
    for (std::size_t i = 0; i < 4; ++i) operands[i].data = slots.data() + i * padded;
    row().run(&step, 1, operands, size);
    return {slots.begin() + 3 * size, slots.begin() + 3 * size + static_cast<std::ptrdiff_t>(n)};
  }
  float one(Op op, float a, float b = 0, float c = 0, float imm = 0) const {
    return apply(op, {a}, {b}, {c}, imm)[0];
  }

  // Largest error in ulp over every step-th float in [low, high].
  double worst_ulp(Op op, float low, float high, std::uint32_t step,
                   const std::function<double(double)>& exact) const {
    std::vector<float> xs;
    const auto sweep = [&](float from, float to, float sign) {
      for (std::uint32_t bits = float_bits(from); bits <= float_bits(to); bits += step) {
        xs.push_back(sign * float_from_bits(bits));
      }
    };
    if (low < 0) sweep(high < 0 ? -high : 0.0f, -low, -1);
    if (high > 0) sweep(low > 0 ? low : 0.0f, high, 1);
    const std::vector<float> ys = apply(op, xs, {}, {}, 0);
    double worst = 0;
    for (std::size_t i = 0; i < xs.size(); ++i) {
      const double expected = exact(xs[i]);
      const double ulp = 2 * test::half_ulp(DType::fp32, expected);
      const double error = std::abs(static_cast<double>(ys[i]) - expected) / ulp;
      if (!(error <= worst)) worst = std::isnan(error) ? kInf : error;
    }
    return worst;
  }
};

INSTANTIATE_TEST_SUITE_P(, ElementwiseKernels, testing::Range(0, elementwise_kernels().count));

TEST_P(ElementwiseKernels, ElementaryFunctionsAreAsExactAsTheySay) {
  constexpr std::uint32_t kStep = 2503;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_LE(worst_ulp(Op::exp, -104, 88.72f, kStep, [](double x) { return std::exp(x); }), 2);
  EXPECT_LE(worst_ulp(Op::log, 1e-45f, 3.4e38f, kStep, [](double x) { return std::log(x); }), 2);
  EXPECT_LE(worst_ulp(Op::sigmoid, -87, 100, kStep, sigmoid), 4);
  EXPECT_LE(worst_ulp(Op::silu, -87, 100, kStep, [&](double x) { return x * sigmoid(x); }), 4);
  EXPECT_LE(worst_ulp(Op::tanh, -20, 20, kStep, [](double x) { return std::tanh(x); }), 4);
  EXPECT_LE(worst_ulp(Op::sqrt, 0, 3.4e38f, kStep, [](double x) { return std::sqrt(x); }), 0.5);
  EXPECT_LE(worst_ulp(Op::rsqrt, 1e-38f, 3.4e38f, kStep, [](double x) { return 1 / std::sqrt(x); }),
            1.5);
  EXPECT_LE(worst_ulp(Op::inverse, 1e-37f, 1e37f, kStep, [](double x) { return 1 / x; }), 0.5);
}

TEST_P(ElementwiseKernels, LimitsOfElementaryFunctions) {
  EXPECT_EQ(one(Op::exp, 88.73f), kInf);
  EXPECT_EQ(one(Op::exp, kInf), kInf);
  EXPECT_EQ(one(Op::exp, -104.1f), 0);
  EXPECT_EQ(one(Op::exp, -kInf), 0);
  EXPECT_EQ(one(Op::exp, 0), 1);
  EXPECT_EQ(one(Op::log, 0), -kInf);
  EXPECT_EQ(one(Op::log, 1), 0);
  EXPECT_EQ(one(Op::log, kInf), kInf);
  EXPECT_TRUE(std::isnan(one(Op::log, -1)));
  EXPECT_EQ(one(Op::sigmoid, kInf), 1);
  EXPECT_EQ(one(Op::sigmoid, -kInf), 0);
  EXPECT_EQ(one(Op::silu, kInf), kInf);
  EXPECT_EQ(one(Op::silu, -1000), 0);
  EXPECT_EQ(one(Op::tanh, kInf), 1);
  EXPECT_EQ(one(Op::tanh, -kInf), -1);
  EXPECT_EQ(float_bits(one(Op::tanh, -0.0f)), float_bits(-0.0f));
  for (const Op op :
       {Op::exp, Op::log, Op::sigmoid, Op::silu, Op::tanh, Op::sqrt, Op::rsqrt, Op::inverse,
        Op::abs, Op::neg, Op::square, Op::round_fp16, Op::round_bf16, Op::copy}) {
    EXPECT_TRUE(std::isnan(one(op, kNan))) << elementwise_op_name(op);
  }
}

TEST_P(ElementwiseKernels, Arithmetic) {
  const float values[] = {0.0f, -0.0f, 1, -1, 2.5f, -3.75f, 1e-40f, 3e38f, kInf, -kInf, kNan, 0.1f};
  const auto maximum = [](float x, float y) { return x != x || y != y ? kNan : std::max(x, y); };
  const auto minimum = [](float x, float y) { return x != x || y != y ? kNan : std::min(x, y); };
  const auto same = [](float x, float y) { return x == y || (x != x && y != y); };
  for (const float a : values) {
    EXPECT_TRUE(same(one(Op::copy, a), a));
    EXPECT_TRUE(same(one(Op::neg, a), -a));
    EXPECT_TRUE(same(one(Op::abs, a), std::fabs(a)));
    EXPECT_TRUE(same(one(Op::square, a), a * a));
    EXPECT_TRUE(same(one(Op::round_fp16, a), to_float(f16_from_float(a))));
    EXPECT_TRUE(same(one(Op::round_bf16, a), to_float(bf16_from_float(a))));
    for (const float b : values) {
      SCOPED_TRACE(std::to_string(a) + " and " + std::to_string(b));
      EXPECT_TRUE(same(one(Op::fill, a, 0, 0, b), b));
      EXPECT_TRUE(same(one(Op::add, a, b), a + b) && same(one(Op::add_imm, a, 0, 0, b), a + b));
      EXPECT_TRUE(same(one(Op::sub, a, b), a - b) && same(one(Op::rsub_imm, b, 0, 0, a), a - b));
      EXPECT_TRUE(same(one(Op::mul, a, b), a * b) && same(one(Op::mul_imm, a, 0, 0, b), a * b));
      EXPECT_TRUE(same(one(Op::div, a, b), a / b) && same(one(Op::div_imm, a, 0, 0, b), a / b));
      EXPECT_TRUE(same(one(Op::rdiv_imm, b, 0, 0, a), a / b));
      EXPECT_TRUE(same(one(Op::max, a, b), maximum(a, b)) &&
                  same(one(Op::max_imm, a, 0, 0, b), maximum(a, b)));
      EXPECT_TRUE(same(one(Op::min, a, b), minimum(a, b)) &&
                  same(one(Op::min_imm, a, 0, 0, b), minimum(a, b)));
      EXPECT_EQ(one(Op::less, a, b), a < b ? 1 : 0);
      EXPECT_EQ(one(Op::less_equal, a, b), a <= b ? 1 : 0);
      EXPECT_EQ(one(Op::equal, a, b), a == b ? 1 : 0);
      EXPECT_TRUE(same(one(Op::select, 1, a, b), a) && same(one(Op::select, 0, a, b), b));
      const float fused = std::fma(a, b, 0.5f), twice = a * b + 0.5f;
      const float got = one(Op::mul_add, a, b, 0.5f);
      EXPECT_TRUE(same(got, fused) || same(got, twice));
    }
  }
}

// Operands of both types, in every combination, against the same operation on floats.
TEST_P(ElementwiseKernels, ReadAndWriteFp16InPlace) {
  constexpr std::size_t kCount = 48;
  const Op ops[] = {Op::fill, Op::copy, Op::silu, Op::add_imm, Op::sub, Op::mul, Op::mul_add};
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-3, 3);
  std::vector<f16> halves[4];
  std::vector<float> floats[4];
  for (int i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < kCount; ++j) {
      halves[i].push_back(f16_from_float(uniform(random)));
      floats[i].push_back(to_float(halves[i].back()));
    }
  }
  for (const Op op : ops) {
    const std::vector<float> expected = apply(op, floats[0], floats[1], floats[2], 0.75f);
    for (int types = 0; types < 16; ++types) {
      SCOPED_TRACE(std::string(elementwise_op_name(op)) + ", types " + std::to_string(types));
      ElementwiseOperand operands[4];
      for (int i = 0; i < 4; ++i) {
        const bool half = (types >> i & 1) != 0;
        operands[i].type = half ? DType::fp16 : DType::fp32;
        operands[i].data = half ? static_cast<void*>(halves[i].data()) : floats[i].data();
      }
      const ElementwiseStep step{op, 3, 0, 1, 2, 0.75f};
      row().run(&step, 1, operands, kCount);
      for (std::size_t j = 0; j < kCount; ++j) {
        if (operands[3].type == DType::fp16) {
          ASSERT_EQ(halves[3][j].bits, f16_from_float(expected[j]).bits);
        } else {
          ASSERT_EQ(floats[3][j], expected[j]);
        }
      }
    }
  }
}

TEST_P(ElementwiseKernels, PowIsRightToOneUlp) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> log_base(-80, 80), exponent(-3, 3);
  std::vector<float> a, b;
  for (int i = 0; i < 200000; ++i) {
    a.push_back(static_cast<float>(std::exp(log_base(random))));
    b.push_back(static_cast<float>(exponent(random)));
  }
  const std::vector<float> y = apply(Op::pow, a, b, {}, 0);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double exact = std::pow(static_cast<double>(a[i]), static_cast<double>(b[i]));
    if (exact > std::numeric_limits<float>::max()) {
      ASSERT_EQ(y[i], kInf);
    } else {
      ASSERT_LE(std::abs(y[i] - exact), 2 * test::half_ulp(DType::fp32, exact))
          << a[i] << " ^ " << b[i];
    }
  }
}

TEST_P(ElementwiseKernels, PowHasTheSpecialCasesOfC) {
  const float values[] = {0.0f,     -0.0f,       1,           -1,    2,     -2,
                          3,        -3,          0.5f,        -0.5f, 1e30f, -1e30f,
                          16777216, 16777218.0f, 33554436.0f, kInf,  -kInf, kNan};
  for (const float a : values) {
    for (const float b : values) {
      const auto expected =
          static_cast<float>(std::pow(static_cast<double>(a), static_cast<double>(b)));
      for (const float got : {one(Op::pow, a, b), one(Op::pow_imm, a, 0, 0, b)}) {
        if (std::isnan(expected)) {
          EXPECT_TRUE(std::isnan(got)) << a << " ^ " << b << " is " << got;
        } else {
          EXPECT_EQ(float_bits(got), float_bits(expected)) << a << " ^ " << b << " is " << got;
        }
      }
    }
  }
}

TEST(ElementwiseOps, KnowTheirSources) {
  EXPECT_EQ(elementwise_op_sources(Op::fill), 0);
  EXPECT_EQ(elementwise_op_sources(Op::exp), 1);
  EXPECT_EQ(elementwise_op_sources(Op::pow), 2);
  EXPECT_EQ(elementwise_op_sources(Op::select), 3);
  EXPECT_STREQ(elementwise_op_name(Op::round_fp16), "round_fp16");
}

}  // namespace
}  // namespace anemone::kernels

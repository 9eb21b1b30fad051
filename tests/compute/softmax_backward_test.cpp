// Causal softmax and the derivative of softmax, against double, with rubbish where nothing may be
// read.
#include "anemone/compute/softmax_backward.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "anemone/compute/softmax.h"
#include "tests/support/numbers.h"
#include "tests/support/tensors.h"

namespace anemone::compute {
namespace {

using test::Buffer;
using test::kEps;

// A square matrix per batch element, with what lies above the diagonal spoiled.
Buffer causal_input(DType type, const Shape& shape, const Strides& strides, std::uint32_t seed) {
  Buffer in(type, test::extent(shape, strides), 1);
  in.fill_random(seed, -4, 4);
  const std::int64_t n = shape[shape.rank() - 1];
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    if (i % n > i / n % n)
      in.set(test::offset_of(shape, strides, i), std::numeric_limits<double>::quiet_NaN());
  }
  return in;
}

struct SoftmaxBackwardCase {
  Shape shape;
  Strides in, out;
};
std::vector<SoftmaxBackwardCase> cases() {
  std::vector<SoftmaxBackwardCase> all;
  for (const Shape& shape : {Shape{3, 37, 37}, Shape{2, 2, 5, 5}, Shape{1, 1}, Shape{600, 600}}) {
    all.push_back({shape, contiguous_strides(shape), contiguous_strides(shape)});
    all.push_back({shape, test::padded_strides(shape, 3), test::padded_strides(shape, 1)});
  }
  const Shape square{30, 30};
  all.push_back({square, test::padded_strides(square, 1, 0, 1), contiguous_strides(square)});
  return all;
}

TEST(CausalSoftmax, SeesEachRowUpToTheDiagonal) {
  ThreadPool one(1), three(3);
  for (const CpuFeatures& features : test::runnable(kernels::reduce_kernels())) {
    for (const SoftmaxBackwardCase& c : cases()) {
      for (const DType type : {DType::fp16, DType::fp32}) {
        const Buffer in = causal_input(type, c.shape, c.in, 5);
        const int axis = c.shape.rank() - 1;
        const SoftmaxPlan plan =
            plan_softmax({c.shape, axis, type, c.in, type, c.out, /*causal=*/true}, features);
        Buffer out(type, test::extent(c.shape, c.out)), again(type, out.size());
        run(one, plan, in.data(), out.data());
        run(three, plan, in.data(), again.data());
        EXPECT_TRUE(out.same_bytes(again));
        EXPECT_TRUE(test::only_wrote(out, c.shape, c.out));
        const std::int64_t n = c.shape[axis];
        for (std::int64_t first = 0; first < c.shape.elements(); first += n) {
          const std::int64_t seen = first / n % n + 1;
          const auto x = [&](std::int64_t j) {
            return in.get(test::offset_of(c.shape, c.in, first + j));
          };
          double max = x(0), sum = 0;
          for (std::int64_t j = 0; j < seen; ++j) max = std::max(max, x(j));
          for (std::int64_t j = 0; j < seen; ++j) sum += std::exp(x(j) - max);
          for (std::int64_t j = 0; j < n; ++j) {
            const double exact = j < seen ? std::exp(x(j) - max) / sum : 0;
            // The exponent's rounding (of up to 8), exp 2 ulp, n additions, two roundings.
            const double bound = (8 + 4 + static_cast<double>(n) + 2) * kEps * exact;
            ASSERT_NEAR(out.get(test::offset_of(c.shape, c.out, first + j)), exact,
                        bound + test::half_ulp(type, exact + bound))
                << c.shape.to_string() << " row " << first / n << " element " << j;
          }
        }
      }
    }
  }
}

void check_backward(const SoftmaxBackwardCase& c, DType type, bool causal,
                    const CpuFeatures& features) {
  ThreadPool one(1), four(4);
  Buffer p = causal_input(type, c.shape, c.in, 6), dp = causal_input(type, c.shape, c.in, 7);
  if (!causal) {
    p.fill_random(8);
    dp.fill_random(9);
  }
  SoftmaxBackwardSpec spec;
  spec.shape = c.shape;
  spec.p_type = spec.dp_type = spec.dx_type = type;
  spec.p_strides = spec.dp_strides = c.in;
  spec.dx_strides = c.out;
  spec.causal = causal;
  const SoftmaxBackwardPlan plan = plan_softmax_backward(spec, features);
  Buffer out(type, test::extent(c.shape, c.out)), again(type, out.size());
  run(one, plan, p.data(), dp.data(), out.data());
  run(four, plan, p.data(), dp.data(), again.data());
  EXPECT_TRUE(out.same_bytes(again));
  EXPECT_TRUE(test::only_wrote(out, c.shape, c.out));
  const std::int64_t n = c.shape[c.shape.rank() - 1];
  for (std::int64_t first = 0; first < c.shape.elements(); first += n) {
    const std::int64_t seen = causal ? first / n % n + 1 : n;
    const auto at = [&](const Buffer& buffer, std::int64_t j) {
      return buffer.get(test::offset_of(c.shape, c.in, first + j));
    };
    double sum = 0, magnitude = 0;
    for (std::int64_t j = 0; j < seen; ++j) {
      sum += at(p, j) * at(dp, j);
      magnitude += std::abs(at(p, j) * at(dp, j));
    }
    for (std::int64_t j = 0; j < n; ++j) {
      const double exact = j < seen ? at(p, j) * (at(dp, j) - sum) : 0;
      const double scale = j < seen ? std::abs(at(p, j)) : 0;
      const double bound =
          scale * kEps * ((static_cast<double>(n) + 3) * magnitude + 2 * std::abs(at(dp, j)));
      const double allowed = j < seen ? bound + test::half_ulp(type, std::abs(exact) + bound) : 0;
      ASSERT_NEAR(out.get(test::offset_of(c.shape, c.out, first + j)), exact, allowed)
          << c.shape.to_string() << " row " << first / n << " element " << j;
    }
  }
}

TEST(SoftmaxBackward, AgreesWithDouble) {
  for (const CpuFeatures& features : test::runnable(kernels::reduce_kernels())) {
    for (SoftmaxBackwardCase c : cases()) {
      for (const DType type : {DType::fp16, DType::fp32}) {
        check_backward(c, type, /*causal=*/false, features);
        check_backward(c, type, /*causal=*/true, features);
      }
    }
  }
}

TEST(SoftmaxBackward, WritesOverItsOperand) {
  ThreadPool pool(2);
  const Shape shape{5, 1300};
  SoftmaxBackwardSpec spec;
  spec.shape = shape;
  spec.p_strides = spec.dp_strides = spec.dx_strides = contiguous_strides(shape);
  Buffer p(DType::fp32, shape.elements()), dp(DType::fp32, shape.elements()),
      dx(DType::fp32, shape.elements());
  p.fill_random(1);
  dp.fill_random(2);
  const SoftmaxBackwardPlan plan = plan_softmax_backward(spec);
  run(pool, plan, p.data(), dp.data(), dx.data());
  run(pool, plan, p.data(), dp.data(), dp.data());
  EXPECT_TRUE(dx.same_bytes(dp));
}

}  // namespace
}  // namespace anemone::compute

// log(Σ e^x) over all axes of several layouts, against double; and of numbers that are none.
#include "anemone/compute/log_sum_exp.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

#include "anemone/base/aligned_buffer.h"
#include "tests/support/numbers.h"
#include "tests/support/tensors.h"

namespace anemone::compute {
namespace {

using test::Buffer;
using test::kEps;
using test::kInf;
using test::kNan;

struct LogSumExpLayout {
  const char* name;
  Shape shape;
  Strides in;
};

std::vector<LogSumExpLayout> log_sum_exp_layouts() {
  const Shape vocabulary{1, 9000, 1, 70}, cube{3, 20, 50}, long_row{2, 67000};
  return {{"vocabulary", vocabulary, contiguous_strides(vocabulary)},
          {"cube with gaps", cube, test::padded_strides(cube, 3)},
          {"cube, last two axes exchanged", cube, test::padded_strides(cube, 0, 1, 2)},
          {"long rows", long_row, contiguous_strides(long_row)}};
}

Buffer run_plan(ThreadPool& pool, const LogSumExpPlan& plan, const Buffer& in,
                std::int64_t out_size) {
  AlignedBuffer workspace(plan.workspace_bytes());
  Buffer out(plan.walk.out_type, out_size, 1);
  run(pool, plan, {workspace.data(), workspace.size()}, in.data(), out.data());
  return out;
}

std::vector<double> in_double(const ReduceSpec& spec, const Buffer& in, const Shape& kept) {
  const Strides dense = contiguous_strides(kept);
  Strides to{};
  for (int axis = 0; axis < spec.shape.rank(); ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    to[i] = (spec.axes >> axis) & 1u ? 0 : dense[i];
  }
  const auto results = static_cast<std::size_t>(kept.elements());
  std::vector<double> max(results, -kInf), sum(results, 0);
  for (const bool summing : {false, true}) {
    for (std::int64_t i = 0; i < spec.shape.elements(); ++i) {
      const double x = in.get(test::offset_of(spec.shape, spec.in_strides, i));
      const auto at = static_cast<std::size_t>(test::offset_of(spec.shape, to, i));
      if (summing) {
        sum[at] += std::exp(x - max[at]);
      } else {
        max[at] = std::max(max[at], x);
      }
    }
  }
  for (std::size_t i = 0; i < results; ++i) max[i] += std::log(sum[i]);
  return max;
}

void check(ReduceSpec spec, const Buffer& in, const CpuFeatures& features) {
  Shape kept = spec.shape;
  for (int axis = 0; axis < kept.rank(); ++axis) {
    if ((spec.axes >> axis) & 1u) kept[axis] = 1;
  }
  spec.out_strides = test::padded_strides(kept, 2);
  const LogSumExpPlan plan = plan_log_sum_exp(spec, features);
  const auto exact = in_double(spec, in, kept);
  ThreadPool one(1);
  const Buffer out = run_plan(one, plan, in, test::extent(kept, spec.out_strides));
  EXPECT_TRUE(test::only_wrote(out, kept, spec.out_strides));
  const auto count = static_cast<double>(spec.shape.elements() / kept.elements());
  for (std::int64_t i = 0; i < kept.elements(); ++i) {
    // Errors of an exponent (of up to 16), of the exponentials and of as many additions are
    // relative to the sum, so absolute in its logarithm; the result is of up to 8 + log(count).
    const double bound = (16 + 8 + count + 2 * (8 + std::log(count))) * kEps;
    const double expected = exact[static_cast<std::size_t>(i)];
    ASSERT_NEAR(out.get(test::offset_of(kept, spec.out_strides, i)), expected,
                bound + test::half_ulp(spec.out_type, std::abs(expected) + bound))
        << "result " << i;
  }
  for (int threads = 2; threads <= 4; ++threads) {
    ThreadPool pool(threads);
    EXPECT_TRUE(out.same_bytes(run_plan(pool, plan, in, out.size()))) << threads << " threads";
  }
}

TEST(LogSumExp, AgreesWithDoubleOverAllAxes) {
  for (const CpuFeatures& features : test::runnable(kernels::reduce_kernels())) {
    for (const LogSumExpLayout& layout : log_sum_exp_layouts()) {
      for (const DType type : {DType::fp16, DType::fp32}) {
        Buffer in(type, test::extent(layout.shape, layout.in), 3);
        in.fill_random(9, -8, 8);
        for (std::uint32_t axes = 0; axes < (1u << layout.shape.rank()); ++axes) {
          if (layout.shape[0] == 1 && (axes & 5u) != 0) continue;  // dimensions of 1 add no case
          SCOPED_TRACE(std::string(layout.name) + " " + dtype_name(type) + " axes " +
                       std::to_string(axes));
          check({ReduceOp::max, layout.shape, axes, type, layout.in, DType::fp32, {}}, in,
                features);
        }
      }
    }
  }
}

// Large numbers do not overflow, and infinities and NaN stay what they are, by rows and by columns,
// also in other chunks of a sum than the rest.
TEST(LogSumExp, OfNumbersThatAreNone) {
  constexpr std::int64_t kRows = 5, kLength = 70000;
  const double cases[kRows][2] = {
      {80000, 80000}, {-kInf, -kInf}, {3, kInf}, {-1000, kNan}, {-kInf, -1000}};
  const double expected[kRows] = {80000 + std::log(double{kLength}), -kInf, kInf, kNan, -1000};
  for (const bool by_columns : {false, true}) {
    Buffer in(DType::fp32, kRows * kLength);
    for (std::int64_t row = 0; row < kRows; ++row) {
      for (std::int64_t i = 0; i < kLength; ++i) {
        const double value = cases[row][i == kLength - 1 ? 1 : 0];
        in.set(by_columns ? i * kRows + row : row * kLength + i, value);
      }
    }
    const Shape shape = by_columns ? Shape{kLength, kRows} : Shape{kRows, kLength};
    ThreadPool pool(2);
    const LogSumExpPlan plan = plan_log_sum_exp(
        {ReduceOp::max, shape, by_columns ? 1u : 2u, DType::fp32, contiguous_strides(shape),
         DType::fp32, by_columns ? Strides{0, 1} : Strides{1, 0}});
    EXPECT_EQ(plan.walk.by_columns, by_columns);
    const Buffer out = run_plan(pool, plan, in, kRows);
    for (std::int64_t row = 0; row < kRows; ++row) {
      const double value = out.get(row);
      if (std::isnan(expected[row])) {
        EXPECT_TRUE(std::isnan(value)) << value;
      } else if (std::isinf(expected[row])) {
        EXPECT_EQ(value, expected[row]) << row;
      } else {
        EXPECT_NEAR(value, expected[row], 4 * kEps * std::abs(expected[row])) << row;
      }
    }
  }
}

TEST(LogSumExp, OfNothing) {
  ThreadPool pool(2);
  Buffer in(DType::fp32, 0);
  const LogSumExpPlan plan =
      plan_log_sum_exp({ReduceOp::max, Shape{3, 0}, 2, DType::fp32, {1, 1}, DType::fp32, {1, 0}});
  EXPECT_EQ(run_plan(pool, plan, in, 3).get(2), -kInf);
}

}  // namespace
}  // namespace anemone::compute

// Reductions and softmax over all axes of several layouts, against double.
#include "anemone/compute/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

#include "anemone/base/aligned_buffer.h"
#include "anemone/compute/softmax.h"
#include "tests/compute/pools.h"
#include "tests/support/numbers.h"
#include "tests/support/tensors.h"

namespace anemone::compute {
namespace {

using test::Buffer;
using test::kEps;
using test::kInf;

struct ReduceLayout {
  const char* name;
  Shape shape;
  Strides in;
};

std::vector<ReduceLayout> reduce_layouts() {
  const Shape channels{1, 100, 1, 530}, cube{3, 20, 50}, long_row{2, 67000}, tall{12000, 3};
  return {{"channels", channels, contiguous_strides(channels)},
          {"cube", cube, contiguous_strides(cube)},
          {"cube with gaps", cube, test::padded_strides(cube, 3)},
          {"cube, first and last axis exchanged", cube, test::padded_strides(cube, 1, 0, 2)},
          {"cube, last two axes exchanged", cube, test::padded_strides(cube, 0, 1, 2)},
          {"long rows", long_row, contiguous_strides(long_row)},
          {"tall", tall, contiguous_strides(tall)}};
}

Buffer run_reduce(ThreadPool& pool, const ReducePlan& plan, const Buffer& in,
                  std::int64_t out_size) {
  AlignedBuffer workspace(plan.workspace_bytes());
  Buffer out(plan.out_type, out_size, 1);
  run(pool, plan, {workspace.data(), workspace.size()}, in.data(), out.data());
  return out;
}

// One result in double: value, and the sum of magnitudes its error is measured by.
struct Exact {
  double value = 0, magnitude = 0;
};

std::vector<Exact> reduce_in_double(const ReduceSpec& spec, const Buffer& in, const Shape& kept) {
  const Strides dense = contiguous_strides(kept);
  Strides to{};
  for (int axis = 0; axis < spec.shape.rank(); ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    to[i] = (spec.axes >> axis) & 1u ? 0 : dense[i];
  }
  std::vector<Exact> exact(static_cast<std::size_t>(kept.elements()));
  for (Exact& e : exact)
    e.value = spec.op == ReduceOp::max ? -kInf : spec.op == ReduceOp::min ? kInf : 0;
  for (std::int64_t i = 0; i < spec.shape.elements(); ++i) {
    const double x = in.get(test::offset_of(spec.shape, spec.in_strides, i));
    Exact& e = exact[static_cast<std::size_t>(test::offset_of(spec.shape, to, i))];
    const double term = spec.op == ReduceOp::sum_square ? x * x : x;
    e.magnitude += std::abs(term);
    if (spec.op == ReduceOp::max) {
      e.value = std::max(e.value, x);
    } else if (spec.op == ReduceOp::min) {
      e.value = std::min(e.value, x);
    } else {
      e.value += term;
    }
  }
  return exact;
}

void check_reduce(ReduceSpec spec, const Buffer& in, const CpuFeatures& features,
                  const std::vector<std::unique_ptr<ThreadPool>>& pools) {
  Shape kept = spec.shape;
  for (int axis = 0; axis < kept.rank(); ++axis) {
    if ((spec.axes >> axis) & 1u) kept[axis] = 1;
  }
  spec.out_strides = test::padded_strides(kept, 2);
  const auto count = static_cast<double>(spec.shape.elements() / kept.elements());
  const std::vector<Exact> exact = reduce_in_double(spec, in, kept);
  const ReducePlan plan = plan_reduce(spec, features);
  const Buffer out = run_reduce(*pools[0], plan, in, test::extent(kept, spec.out_strides));
  EXPECT_TRUE(test::only_wrote(out, kept, spec.out_strides));
  for (std::int64_t i = 0; i < kept.elements(); ++i) {
    const Exact& e = exact[static_cast<std::size_t>(i)];
    const bool picks = spec.op == ReduceOp::max || spec.op == ReduceOp::min;
    const double divisor = spec.op == ReduceOp::mean ? count : 1;
    const double expected = e.value / divisor;
    const double bound = picks ? 0 : (count + 2) * kEps * e.magnitude / divisor;
    const double tolerance =
        bound + (picks ? 0 : test::half_ulp(spec.out_type, std::abs(expected) + bound));
    ASSERT_NEAR(out.get(test::offset_of(kept, spec.out_strides, i)), expected, tolerance)
        << "result " << i;
  }
  for (const auto& pool : pools) {
    EXPECT_TRUE(out.same_bytes(run_reduce(*pool, plan, in, out.size())))
        << pool->threads() << " threads";
  }
}

TEST(Reduce, AgreesWithDoubleOverAllAxes) {
  const auto pools = make_pools();
  for (const CpuFeatures& features : test::runnable(kernels::reduce_kernels())) {
    for (const ReduceLayout& layout : reduce_layouts()) {
      for (const DType type : {DType::fp16, DType::fp32}) {
        Buffer in(type, test::extent(layout.shape, layout.in), 3);
        in.fill_random(9);
        for (std::uint32_t axes = 0; axes < (1u << layout.shape.rank()); ++axes) {
          // Dimensions of 1 add no case.
          if (layout.shape[0] == 1 && (axes & 5u) != 0 && (axes & 5u) != 5u) continue;
          for (const ReduceOp op : {ReduceOp::sum, ReduceOp::mean, ReduceOp::max, ReduceOp::min,
                                    ReduceOp::sum_square}) {
            SCOPED_TRACE(std::string(layout.name) + " " + dtype_name(type) + " axes " +
                         std::to_string(axes) + " op " + std::to_string(static_cast<int>(op)));
            // Sums of squares may exceed fp16.
            const DType out =
                op == ReduceOp::sum_square || op == ReduceOp::sum ? DType::fp32 : type;
            check_reduce({op, layout.shape, axes, type, layout.in, out, {}}, in, features, pools);
          }
        }
      }
    }
  }
}

TEST(Reduce, OfNothing) {
  ThreadPool pool(2);
  Buffer in(DType::fp32, 0);
  const Shape shape{3, 0};
  const auto result = [&](ReduceOp op) {
    const ReducePlan plan = plan_reduce({op, shape, 2, DType::fp32, {1, 1}, DType::fp32, {1, 0}});
    return run_reduce(pool, plan, in, 3).get(2);
  };
  EXPECT_EQ(result(ReduceOp::sum), 0);
  EXPECT_TRUE(std::isnan(result(ReduceOp::mean)));
  EXPECT_EQ(result(ReduceOp::max), -kInf);
  EXPECT_EQ(result(ReduceOp::min), kInf);
}

void check_softmax(const SoftmaxSpec& spec, const Buffer& in, const CpuFeatures& features,
                   const std::vector<std::unique_ptr<ThreadPool>>& pools) {
  const SoftmaxPlan plan = plan_softmax(spec, features);
  std::unique_ptr<Buffer> first;
  for (const auto& pool : pools) {
    auto out =
        std::make_unique<Buffer>(spec.out_type, test::extent(spec.shape, spec.out_strides), 1);
    run(*pool, plan, in.data(), out->data());
    if (!first)
      first = std::move(out);
    else
      EXPECT_TRUE(first->same_bytes(*out)) << pool->threads() << " threads";
  }
  EXPECT_TRUE(test::only_wrote(*first, spec.shape, spec.out_strides));
  const auto axis = static_cast<std::size_t>(spec.axis);
  Shape rest = spec.shape;
  rest[spec.axis] = 1;
  for (std::int64_t i = 0; i < rest.elements(); ++i) {
    const std::int64_t from = test::offset_of(rest, spec.in_strides, i),
                       to = test::offset_of(rest, spec.out_strides, i);
    const std::int64_t n = spec.shape[spec.axis];
    double max = -kInf, sum = 0;
    for (std::int64_t j = 0; j < n; ++j)
      max = std::max(max, in.get(from + j * spec.in_strides[axis]));
    for (std::int64_t j = 0; j < n; ++j)
      sum += std::exp(in.get(from + j * spec.in_strides[axis]) - max);
    for (std::int64_t j = 0; j < n; ++j) {
      const double exact = std::exp(in.get(from + j * spec.in_strides[axis]) - max) / sum;
      // The subtraction's rounding (of up to 16) is an error of the exponent; exp 2 ulp; n
      // additions; two more roundings.
      const double relative = (16 + 4 + static_cast<double>(n) + 2) * kEps;
      const double bound = relative * exact + test::half_ulp(DType::fp32, 0);
      ASSERT_NEAR(first->get(to + j * spec.out_strides[axis]), exact,
                  bound + test::half_ulp(spec.out_type, exact + bound))
          << "row " << i << " element " << j;
    }
  }
}

TEST(Softmax, AgreesWithDoubleAlongEachAxis) {
  const auto pools = make_pools();
  for (const CpuFeatures& features : test::runnable(kernels::reduce_kernels())) {
    for (const ReduceLayout& layout : reduce_layouts()) {
      for (const DType type : {DType::fp16, DType::fp32}) {
        Buffer in(type, test::extent(layout.shape, layout.in), 3);
        in.fill_random(9, -8, 8);
        for (int axis = 0; axis < layout.shape.rank(); ++axis) {
          SCOPED_TRACE(std::string(layout.name) + " " + dtype_name(type) + " axis " +
                       std::to_string(axis));
          check_softmax(
              {layout.shape, axis, type, layout.in, type, test::padded_strides(layout.shape, 1)},
              in, features, pools);
        }
      }
    }
  }
}

TEST(Softmax, InPlaceWithAMask) {
  ThreadPool pool(2);
  const Shape shape{4, 100};
  const Strides strides = contiguous_strides(shape);
  Buffer x(DType::fp16, 400);
  x.fill_random(1);
  for (int row = 0; row < 4; ++row) {
    for (int i = row + 1; i < 100; ++i) x.set(row * 100 + i, row == 2 ? -kInf : -65504);
  }
  run(pool, plan_softmax({shape, 1, DType::fp16, strides, DType::fp16, strides}), x.data(),
      x.data());
  for (int row = 0; row < 4; ++row) {
    double sum = 0;
    for (int i = 0; i < 100; ++i) sum += x.get(row * 100 + i);
    EXPECT_NEAR(sum, 1, (row + 1) * 0x1p-12);
    EXPECT_EQ(x.get(row * 100 + 50), 0);
  }
}

TEST(Softmax, OfOnlyMinusInfinityIsNaN) {
  ThreadPool pool(1);
  Buffer x(DType::fp32, 40);
  for (int i = 0; i < 40; ++i) x.set(i, -kInf);
  for (const int axis : {0, 1}) {
    Buffer y(DType::fp32, 40);
    const Strides strides{10, 1};
    run(pool, plan_softmax({{4, 10}, axis, DType::fp32, strides, DType::fp32, strides}), x.data(),
        y.data());
    EXPECT_TRUE(std::isnan(y.get(13)));
  }
}

// What is reduced is computed while it is read: bit for bit what the same numbers give when they
// are stored first.
TEST(Reduce, OfAProgramIsThatOfItsResult) {
  const auto pools = make_pools();
  for (const CpuFeatures& features : test::runnable(kernels::reduce_kernels())) {
    for (const Shape& shape :
         {Shape{1, 100, 1, 530}, Shape{3, 20, 50}, Shape{2, 67000}, Shape{7}}) {
      // (x - 0.5 · y)², with y repeated along the first axis of more than one element.
      Shape small = shape;
      for (int axis = 0; axis < shape.rank(); ++axis) {
        if (shape[axis] == 1) continue;
        small[axis] = 1;
        break;
      }
      Strides y_strides = contiguous_strides(small);
      for (int axis = 0; axis < shape.rank(); ++axis) {
        if (small[axis] == 1) y_strides[static_cast<std::size_t>(axis)] = 0;
      }
      const Strides x_strides = test::padded_strides(shape, 3);
      Buffer x(DType::fp16, test::extent(shape, x_strides)), y(DType::fp32, small.elements()),
          stored(DType::fp32, shape.elements());
      x.fill_random(11);
      y.fill_random(12);
      ElementwiseSpec program;
      program.shape = shape;
      program.inputs = {{DType::fp16, x_strides}, {DType::fp32, y_strides}};
      program.steps = {{ElementwiseOp::mul_imm, 1, 1, 0, 0, 0.5f},
                       {ElementwiseOp::sub, 2, 0, 1},
                       {ElementwiseOp::square, 3, 2}};
      program.outputs = {{DType::fp32, contiguous_strides(shape), 3}};
      const void* inputs[] = {x.data(), y.data()};
      void* outputs[] = {stored.data()};
      run(*pools[0], plan_elementwise(program, features), inputs, outputs);
      for (std::uint32_t axes = 0; axes < 1u << shape.rank(); ++axes) {
        ReduceSpec spec;
        spec.op = ReduceOp::mean;
        spec.shape = shape;
        spec.axes = axes;
        spec.in_strides = contiguous_strides(shape);
        Shape kept = shape;
        for (int axis = 0; axis < kept.rank(); ++axis) {
          if ((axes >> axis) & 1u) kept[axis] = 1;
        }
        spec.out_strides = contiguous_strides(kept);
        const Buffer expected =
            run_reduce(*pools[0], plan_reduce(spec, features), stored, kept.elements());
        spec.program = program;
        const ReducePlan plan = plan_reduce(spec, features);
        for (const auto& pool : pools) {
          AlignedBuffer workspace(plan.workspace_bytes());
          Buffer out(DType::fp32, kept.elements(), 1);
          run_program(*pool, plan, {workspace.data(), workspace.size()}, inputs, out.data());
          EXPECT_TRUE(out.guards_intact());
          EXPECT_TRUE(out.same_bytes(expected)) << shape.to_string() << " axes " << axes;
        }
      }
    }
  }
}

}  // namespace
}  // namespace anemone::compute

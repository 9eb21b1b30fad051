// Reductions: by rows (one result at a time) or by columns (neighbouring results side by side), in
// chunks if few.
#include "anemone/compute/reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "anemone/base/error.h"
#include "anemone/compute/elementwise_block.h"
#include "anemone/compute/reduce_columns.h"

namespace anemone::compute {
namespace {

constexpr std::int64_t kReduceTaskElements = 32 * 1024;
// With fewer tasks than this a reduction is cut into chunks as well.
constexpr std::int64_t kEnoughReduceTasks = 16;

float identity(ReduceOp op) {
  constexpr float kLargest = std::numeric_limits<float>::infinity();
  if (op == ReduceOp::max) return -kLargest;
  return op == ReduceOp::min ? kLargest : 0.0f;
}

// Partial results of sums of squares are added, not squared again.
ReduceOp merging(ReduceOp op) { return op == ReduceOp::sum_square ? ReduceOp::sum : op; }

float finished(const ReducePlan& plan, float value) {
  return plan.op == ReduceOp::mean ? value / static_cast<float>(plan.count) : value;
}

// Inputs [begin, end) of one result; the first of all its inputs is at `at`.
float reduce_one(const ReducePlan& plan, const ReduceSource& in, std::ptrdiff_t at,
                 std::int64_t begin, std::int64_t end) {
  alignas(64) float slot[kSlotStride];
  alignas(64) float parts[kSlotStride];
  // Blocks are reduced one by one, then their results: rounding errors grow with the logarithm,
  // almost.
  float total = identity(plan.op);
  while (begin < end) {
    std::int64_t n = 0;
    for (; n < kBlock && begin < end; ++n, begin += kBlock) {
      const std::int64_t count = std::min(kBlock, end - begin);
      for_each_piece(plan.reduced, begin, count,
                     [&](std::ptrdiff_t offset, std::ptrdiff_t stride, std::int64_t position,
                         std::int64_t piece) {
                       load_input(plan, in, at + offset, stride, piece, slot + position);
                     });
      parts[n] = plan.kernel->reduce(plan.op, slot, count);
    }
    parts[n++] = total;
    total = plan.kernel->reduce(merging(plan.op), parts, n);
  }
  return total;
}

void store_one(const ReducePlan& plan, float value, void* out, std::ptrdiff_t offset) {
  alignas(64) float slot[kernels::kSlotMultiple] = {finished(plan, value)};
  plan.convert->store(plan.out_type, slot, element_at(out, plan.out_type, offset), 1, 1);
}

void run_rows(const ReducePlan& plan, std::int64_t group, std::int64_t chunk, float* partial,
              const ReduceSource& in, void* out) {
  const PairedWalk::Offsets at = plan.kept.at(group);
  const std::int64_t begin = chunk * plan.chunk, end = std::min(plan.count, begin + plan.chunk);
  const float value = reduce_one(plan, in, at.in, begin, end);
  if (plan.chunks > 1) {
    partial[group * plan.chunks + chunk] = value;
  } else {
    store_one(plan, value, out, at.out);
  }
}

void store_columns(const ReducePlan& plan, float* slot, const ColumnBlock& block, void* out) {
  if (plan.op == ReduceOp::mean) {
    for (std::int64_t i = 0; i < block.count; ++i) slot[i] = finished(plan, slot[i]);
  }
  plan.convert->store(plan.out_type, slot, element_at(out, plan.out_type, block.at.out),
                      plan.kept.out[plan.kept.rank - 1], block.count);
}

void run_columns(const ReducePlan& plan, std::int64_t group, std::int64_t chunk, float* partial,
                 const ReduceSource& in, void* out) {
  const ColumnBlock block = column_block(plan, group);
  alignas(64) float sum[kSlotStride], slot[kSlotStride];
  std::fill_n(sum, round_up(block.count, kernels::kSlotMultiple), identity(plan.op));
  const std::int64_t begin = chunk * plan.chunk, end = std::min(plan.count, begin + plan.chunk);
  for_each_input(plan, block, begin, end, in, slot,
                 [&] { plan.kernel->accumulate(plan.op, sum, slot, block.count); });
  if (plan.chunks > 1) {
    std::copy_n(sum, block.count, partial + (group * plan.chunks + chunk) * plan.width);
  } else {
    store_columns(plan, sum, block, out);
  }
}

// Combines the chunks of each result in order.
void combine(const ReducePlan& plan, const float* partial, void* out) {
  alignas(64) float slot[kSlotStride], sum[kSlotStride];
  for (std::int64_t group = 0; group < plan.groups; ++group) {
    if (!plan.by_columns) {
      const float* parts = partial + group * plan.chunks;
      float total = identity(plan.op);
      for (std::int64_t begin = 0; begin < plan.chunks; begin += kBlock) {
        const std::int64_t n = std::min(kBlock, plan.chunks - begin);
        std::copy_n(parts + begin, n, slot);
        slot[n] = total;
        total = plan.kernel->reduce(merging(plan.op), slot, n + 1);
      }
      store_one(plan, total, out, plan.kept.at(group).out);
      continue;
    }
    const ColumnBlock block = column_block(plan, group);
    std::fill_n(sum, plan.width, identity(plan.op));
    for (std::int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
      std::copy_n(partial + (group * plan.chunks + chunk) * plan.width, block.count, slot);
      std::fill(slot + block.count, slot + plan.width, 0.0f);
      plan.kernel->accumulate(merging(plan.op), sum, slot, block.count);
    }
    store_columns(plan, sum, block, out);
  }
}

void run_from(ThreadPool& pool, const ReducePlan& plan, std::span<std::byte> workspace,
              const ReduceSource& in, void* out) {
  ANEMONE_CHECK(workspace.size() >= plan.workspace_bytes(), "a reduction's workspace is too small");
  auto* partial = reinterpret_cast<float*>(workspace.data());
  pool.run(plan.tasks(), [&](int task, int) {
    const std::int64_t chunk = task % plan.chunks;
    const std::int64_t first = task / plan.chunks * plan.task_groups;
    const std::int64_t end = std::min(plan.groups, first + plan.task_groups);
    for (std::int64_t group = first; group < end; ++group) {
      if (plan.by_columns) {
        run_columns(plan, group, chunk, partial, in, out);
      } else {
        run_rows(plan, group, chunk, partial, in, out);
      }
    }
  });
  if (plan.chunks > 1) combine(plan, partial, out);
}

}  // namespace

int ReducePlan::tasks() const { return static_cast<int>(divide_up(groups, task_groups) * chunks); }

std::size_t ReducePlan::workspace_bytes() const {
  return chunks > 1 ? static_cast<std::size_t>(groups * chunks * width) * sizeof(float) : 0;
}

ReducePlan plan_reduce(const ReduceSpec& given, const CpuFeatures& features) {
  ReduceSpec spec = given;
  if (spec.program.has_value()) {
    ANEMONE_CHECK(spec.program->shape == spec.shape && spec.program->outputs.size() == 1,
                  "a reduction's program computes what is reduced");
    spec.in_type = DType::fp32;
    spec.in_strides = contiguous_strides(spec.shape);
  }
  ANEMONE_CHECK(kernels::converts(spec.in_type) && kernels::converts(spec.out_type),
                "a reduction has an element type it cannot be computed in");
  ReducePlan plan;
  plan.kernel = &kernels::pick_reduce(features);
  plan.convert = &kernels::pick_convert(features);
  if (spec.program.has_value()) plan.program = plan_elementwise(*spec.program, features);
  plan.op = spec.op;
  plan.in_type = spec.in_type;
  plan.out_type = spec.out_type;
  plan.kept =
      make_paired_walk(spec.shape, ~spec.axes & kAllAxes, spec.in_strides, spec.out_strides);
  const PairedWalk reduced =
      make_paired_walk(spec.shape, spec.axes, spec.in_strides, spec.in_strides);
  Shape reduced_shape;
  Strides reduced_strides{};
  for (int axis = 0; axis < reduced.rank; ++axis) {
    reduced_strides[static_cast<std::size_t>(axis)] = reduced.in[axis];
    reduced_shape.push_back(reduced.dims[axis]);
  }
  plan.reduced = make_walk(spec.in_type, reduced_shape, reduced_strides);
  plan.outputs = plan.kept.positions();
  plan.count = reduced.positions();

  const int last = plan.kept.rank - 1;
  const bool contiguous_reduced = reduced.rank > 0 && reduced.in[reduced.rank - 1] == 1;
  plan.by_columns = last >= 0 && plan.kept.in[last] == 1 && !contiguous_reduced && plan.outputs > 0;
  plan.groups = plan.outputs;
  if (plan.by_columns) {
    plan.width = std::min(kBlock, round_up(plan.kept.dims[last], kernels::kSlotMultiple));
    plan.groups = plan.outputs / plan.kept.dims[last] * divide_up(plan.kept.dims[last], plan.width);
  }
  plan.chunk = std::max<std::int64_t>(plan.count, 1);
  plan.task_groups = std::max<std::int64_t>(1, kReduceTaskElements / (plan.chunk * plan.width));
  if (divide_up(plan.groups, plan.task_groups) < kEnoughReduceTasks) {
    const std::int64_t shortest = std::max<std::int64_t>(1, kReduceTaskElements / plan.width);
    if (plan.count >= 2 * shortest) {
      plan.chunk = shortest;
      plan.chunks = divide_up(plan.count, plan.chunk);
      plan.task_groups = 1;
    }
  }
  return plan;
}

void compute_input(const ReducePlan& plan, std::span<const void* const> inputs, std::int64_t first,
                   std::int64_t n, float* slot) {
  ElementwiseBlock block(*plan.program);
  if (block.run(inputs, first, n, {slot})) return;
  std::copy_n(block.slot(plan.program->output_slots.front()), round_up(n, kernels::kSlotMultiple),
              slot);
}

void run(ThreadPool& pool, const ReducePlan& plan, std::span<std::byte> workspace, const void* in,
         void* out) {
  ANEMONE_CHECK(!plan.program.has_value(), "a reduction of a program needs the program's inputs");
  run_from(pool, plan, workspace, {in, {}}, out);
}

void run_program(ThreadPool& pool, const ReducePlan& plan, std::span<std::byte> workspace,
                 std::span<const void* const> inputs, void* out) {
  ANEMONE_CHECK(plan.program.has_value() && plan.program->inputs.size() == inputs.size(),
                "a reduction needs a pointer for each input of its program");
  run_from(pool, plan, workspace, {nullptr, inputs}, out);
}

}  // namespace anemone::compute

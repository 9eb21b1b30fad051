// Softmax by rows (the axis is contiguous) or by columns (neighbouring rows side by side).
#include "anemone/compute/softmax.h"

#include <algorithm>
#include <limits>

#include "anemone/base/error.h"
#include "anemone/compute/elementwise_block.h"

namespace anemone::compute {
namespace {

constexpr std::int64_t kSoftmaxTaskElements = 16 * 1024;
// A row up to this length is kept in a slot between its passes; a longer one is read, and its
// exponentials are computed, twice.
constexpr std::int64_t kLongRow = 4096;
constexpr std::int64_t kColumns = 256;

struct SoftmaxRow {
  const SoftmaxPlan& plan;
  const void* in;
  void* out;
  PairedWalk::Offsets at;
  std::int64_t length;

  void load(std::int64_t begin, std::int64_t n, float* slot) const {
    plan.convert->load(plan.in_type, element_at(in, plan.in_type, at.in + begin * plan.in_stride),
                       plan.in_stride, slot, n);
  }
  void store(std::int64_t begin, std::int64_t n, const float* slot) const {
    plan.convert->store(plan.out_type, slot,
                        element_at(out, plan.out_type, at.out + begin * plan.out_stride),
                        plan.out_stride, n);
  }
  void store_zeros(float* slot) const {
    std::fill_n(slot, std::min(kLongRow, plan.length - length), 0.0f);
    for (std::int64_t begin = length; begin < plan.length; begin += kLongRow)
      store(begin, std::min(kLongRow, plan.length - begin), slot);
  }
};

void run_short_row(const SoftmaxRow& row) {
  alignas(64) float slot[kLongRow + kernels::kSlotMultiple];
  const kernels::ReduceKernel& kernel = *row.plan.kernel;
  const std::int64_t n = row.length;
  row.load(0, n, slot);
  const float max = kernel.reduce(kernels::ReduceOp::max, slot, n);
  const float sum = kernel.exp_sum(slot, n, max);
  kernel.scale(slot, n, 1.0f / sum);
  row.store(0, n, slot);
  row.store_zeros(slot);
}

void run_long_row(const SoftmaxRow& row) {
  alignas(64) float slot[kLongRow + kernels::kSlotMultiple];
  const kernels::ReduceKernel& kernel = *row.plan.kernel;
  float pair[kernels::kSlotMultiple] = {-std::numeric_limits<float>::infinity()};
  float sum = 0;
  for (int pass = 0; pass < 3; ++pass) {
    for (std::int64_t begin = 0; begin < row.length; begin += kLongRow) {
      const std::int64_t n = std::min(kLongRow, row.length - begin);
      row.load(begin, n, slot);
      if (pass == 0) {
        pair[1] = kernel.reduce(kernels::ReduceOp::max, slot, n);
        pair[0] = kernel.reduce(kernels::ReduceOp::max, pair, 2);  // keeps NaN
        continue;
      }
      const float part = kernel.exp_sum(slot, n, pair[0]);
      if (pass == 1) {
        sum += part;
      } else {
        kernel.scale(slot, n, 1.0f / sum);
        row.store(begin, n, slot);
      }
    }
  }
  row.store_zeros(slot);
}

// Neighbouring rows side by side: one block of `count` rows whose elements are contiguous at each
// axis position.
void run_columns(const SoftmaxPlan& plan, const void* in, void* out, PairedWalk::Offsets at,
                 std::int64_t count) {
  enum : std::uint8_t { kX, kMax, kSum, kSlots };
  constexpr std::int64_t kStride = kColumns + kernels::kSlotMultiple;
  alignas(64) float slots[kSlots * kStride];
  const auto operands = slot_operands<kSlots>(slots, kStride);
  using Op = kernels::ElementwiseOp;
  static constexpr kernels::ElementwiseStep kSteps[] = {
      {Op::sub, kX, kX, kMax}, {Op::exp, kX, kX}, {Op::div, kX, kX, kSum}};
  const int last = plan.rest.rank - 1;
  const std::int64_t padded = round_up(count, kernels::kSlotMultiple);
  std::fill_n(slots + kMax * kStride, padded, -std::numeric_limits<float>::infinity());
  std::fill_n(slots + kSum * kStride, padded, 0.0f);
  for (int pass = 0; pass < 3; ++pass) {
    for (std::int64_t i = 0; i < plan.length; ++i) {
      plan.convert->load(plan.in_type, element_at(in, plan.in_type, at.in + i * plan.in_stride),
                         plan.rest.in[last], slots, count);
      if (pass == 0) {
        plan.kernel->accumulate(kernels::ReduceOp::max, slots + kMax * kStride, slots, count);
        continue;
      }
      plan.elementwise->run(kSteps, pass == 1 ? 2 : 3, operands.data(), padded);
      if (pass == 1) {
        plan.kernel->accumulate(kernels::ReduceOp::sum, slots + kSum * kStride, slots, count);
      } else {
        plan.convert->store(plan.out_type, slots,
                            element_at(out, plan.out_type, at.out + i * plan.out_stride),
                            plan.rest.out[last], count);
      }
    }
  }
}

void run_group(const SoftmaxPlan& plan, std::int64_t group, const void* in, void* out) {
  if (plan.by_columns) {
    const std::int64_t dim = plan.rest.dims[plan.rest.rank - 1];
    const std::int64_t blocks = divide_up(dim, plan.width);
    const std::int64_t column = group % blocks * plan.width;
    run_columns(plan, in, out, plan.rest.at(group / blocks * dim + column),
                std::min(plan.width, dim - column));
    return;
  }
  const std::int64_t length = plan.causal ? group % plan.length + 1 : plan.length;
  const SoftmaxRow row{plan, in, out, plan.rest.at(group), length};
  if (length <= kLongRow) {
    run_short_row(row);
  } else {
    run_long_row(row);
  }
}

}  // namespace

int SoftmaxPlan::tasks() const {
  return length == 0 ? 0 : static_cast<int>(divide_up(groups, task_groups));
}

SoftmaxPlan plan_softmax(const SoftmaxSpec& spec, const CpuFeatures& features) {
  ANEMONE_CHECK(spec.axis >= 0 && spec.axis < spec.shape.rank(),
                "softmax needs an axis of its shape");
  ANEMONE_CHECK(kernels::converts(spec.in_type) && kernels::converts(spec.out_type),
                "softmax has an element type it cannot be computed in");
  const int rank = spec.shape.rank();
  ANEMONE_CHECK(!spec.causal || (spec.axis == rank - 1 && rank >= 2 &&
                                 spec.shape[rank - 2] == spec.shape[rank - 1]),
                "a causal softmax is over the rows of square matrices");
  SoftmaxPlan plan;
  plan.kernel = &kernels::pick_reduce(features);
  plan.convert = &kernels::pick_convert(features);
  plan.elementwise = &kernels::pick_elementwise(features);
  plan.in_type = spec.in_type;
  plan.out_type = spec.out_type;
  const auto axis = static_cast<std::size_t>(spec.axis);
  plan.length = spec.shape[spec.axis];
  plan.in_stride = spec.in_strides[axis];
  plan.out_stride = spec.out_strides[axis];
  plan.rest = make_paired_walk(spec.shape, kAllAxes & ~(1u << spec.axis), spec.in_strides,
                               spec.out_strides);
  plan.groups = plan.rest.positions();
  const int last = plan.rest.rank - 1;
  plan.causal = spec.causal;
  plan.by_columns = !spec.causal && plan.in_stride != 1 && last >= 0 && plan.rest.in[last] == 1 &&
                    plan.groups > 0;
  if (plan.by_columns) {
    plan.width = std::min(kColumns, plan.rest.dims[last]);
    plan.groups = plan.groups / plan.rest.dims[last] * divide_up(plan.rest.dims[last], plan.width);
  }
  plan.task_groups = std::max<std::int64_t>(
      1, kSoftmaxTaskElements / std::max<std::int64_t>(1, plan.length * plan.width));
  return plan;
}

void run(ThreadPool& pool, const SoftmaxPlan& plan, const void* in, void* out) {
  pool.run(plan.tasks(), [&](int task, int) {
    const std::int64_t first = task * plan.task_groups;
    const std::int64_t end = std::min(plan.groups, first + plan.task_groups);
    for (std::int64_t group = first; group < end; ++group) run_group(plan, group, in, out);
  });
}

}  // namespace anemone::compute

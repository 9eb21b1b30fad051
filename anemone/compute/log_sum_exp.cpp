// See log_sum_exp.h. A piece of the inputs of a result is kept as a shift s and Σ e^(x - s).
#include "anemone/compute/log_sum_exp.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/compute/elementwise_block.h"
#include "anemone/compute/reduce_columns.h"

namespace anemone::compute {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();

struct Piece {
  float shift = kLowest, sum = 0;
};

// What a piece with this maximum is shifted by. Infinities and NaN come out in the sum: e^(x - s)
// is 0, inf or NaN then, where inf - inf would be NaN.
float shift_of(float max) {
  if (std::isfinite(max)) return max;
  return max == -kInfinity ? kLowest : 0.0f;
}

Piece joined(Piece a, Piece b) {
  if (b.shift > a.shift) std::swap(a, b);
  const float sum = std::isinf(b.sum) ? b.sum : b.sum * std::exp(b.shift - a.shift);
  return {a.shift, a.sum + sum};
}

float logarithm(const Piece& piece) { return piece.shift + std::log(piece.sum); }

// Inputs [begin, end) of one result.
Piece row_piece(const ReducePlan& plan, const std::byte* in, std::int64_t begin, std::int64_t end) {
  alignas(64) float slot[kSlotStride];
  Piece total;
  for (; begin < end; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, end - begin);
    load_slot(*plan.convert, plan.reduced, in, begin, count, slot);
    const float shift = shift_of(plan.kernel->reduce(ReduceOp::max, slot, count));
    total = joined(total, {shift, plan.kernel->exp_sum(slot, count, shift)});
  }
  return total;
}

// Inputs [begin, end) of every result of a block.
void column_pieces(const LogSumExpPlan& plan, const ColumnBlock& block, std::int64_t begin,
                   std::int64_t end, const void* in, float* shifts, float* sums) {
  enum : std::uint8_t { kX, kShift, kSlots };
  alignas(64) float slots[kSlots * kSlotStride], sum[kSlotStride];
  const auto operands = slot_operands<kSlots>(slots, kSlotStride);
  using Op = kernels::ElementwiseOp;
  static constexpr kernels::ElementwiseStep kSteps[] = {{Op::sub, kX, kX, kShift},
                                                        {Op::exp, kX, kX}};
  const kernels::ReduceKernel& kernel = *plan.walk.kernel;
  const std::int64_t padded = round_up(block.count, kernels::kSlotMultiple);
  float* const shift = slots + kShift * kSlotStride;
  std::fill_n(shift, padded, -kInfinity);
  for_each_input(plan.walk, block, begin, end, {in, {}}, slots,
                 [&] { kernel.accumulate(ReduceOp::max, shift, slots, block.count); });
  std::transform(shift, shift + padded, shift, shift_of);
  std::fill_n(sum, padded, 0.0f);
  for_each_input(plan.walk, block, begin, end, {in, {}}, slots, [&] {
    plan.elementwise->run(kSteps, 2, operands.data(), padded);
    kernel.accumulate(ReduceOp::sum, sum, slots, block.count);
  });
  std::copy_n(shift, block.count, shifts);
  std::copy_n(sum, block.count, sums);
}

// The workspace: for each group and chunk the shifts of its results, then the sums.
struct Pieces {
  const ReducePlan& plan;
  float* memory;

  float* shifts(std::int64_t group, std::int64_t chunk) const {
    return memory + (group * plan.chunks + chunk) * 2 * plan.width;
  }
  Piece joined_of(std::int64_t group, std::int64_t result) const {
    Piece total;
    for (std::int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
      const float* const at = shifts(group, chunk) + result;
      total = joined(total, {at[0], at[plan.width]});
    }
    return total;
  }
};

void compute_group(const LogSumExpPlan& plan, const Pieces& pieces, std::int64_t group,
                   std::int64_t chunk, const void* in) {
  const ReducePlan& walk = plan.walk;
  const std::int64_t begin = chunk * walk.chunk, end = std::min(walk.count, begin + walk.chunk);
  float* const shifts = pieces.shifts(group, chunk);
  if (walk.by_columns) {
    column_pieces(plan, column_block(walk, group), begin, end, in, shifts, shifts + walk.width);
    return;
  }
  const Piece piece =
      row_piece(walk, element_at(in, walk.in_type, walk.kept.at(group).in), begin, end);
  shifts[0] = piece.shift;
  shifts[1] = piece.sum;
}

void store_group(const ReducePlan& plan, const Pieces& pieces, std::int64_t group, void* out) {
  alignas(64) float slot[kSlotStride];
  const ColumnBlock block =
      plan.by_columns ? column_block(plan, group) : ColumnBlock{plan.kept.at(group), 1};
  const std::ptrdiff_t stride = plan.by_columns ? plan.kept.out[plan.kept.rank - 1] : 1;
  for (std::int64_t i = 0; i < block.count; ++i) slot[i] = logarithm(pieces.joined_of(group, i));
  plan.convert->store(plan.out_type, slot, element_at(out, plan.out_type, block.at.out), stride,
                      block.count);
}

}  // namespace

std::size_t LogSumExpPlan::workspace_bytes() const {
  return static_cast<std::size_t>(walk.groups * walk.chunks * 2 * walk.width) * sizeof(float);
}

LogSumExpPlan plan_log_sum_exp(const ReduceSpec& spec, const CpuFeatures& features) {
  ReduceSpec maximum = spec;
  maximum.op = ReduceOp::max;
  return {plan_reduce(maximum, features), &kernels::pick_elementwise(features)};
}

void run(ThreadPool& pool, const LogSumExpPlan& plan, std::span<std::byte> workspace,
         const void* in, void* out) {
  ANEMONE_CHECK(workspace.size() >= plan.workspace_bytes(),
                "a log-sum-exp's workspace is too small");
  const ReducePlan& walk = plan.walk;
  const Pieces pieces{walk, reinterpret_cast<float*>(workspace.data())};
  pool.run(walk.tasks(), [&](int task, int) {
    const std::int64_t first = task / walk.chunks * walk.task_groups;
    const std::int64_t end = std::min(walk.groups, first + walk.task_groups);
    for (std::int64_t group = first; group < end; ++group)
      compute_group(plan, pieces, group, task % walk.chunks, in);
  });
  for (std::int64_t group = 0; group < walk.groups; ++group) store_group(walk, pieces, group, out);
}

}  // namespace anemone::compute

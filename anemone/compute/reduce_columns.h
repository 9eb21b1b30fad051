// Reading what is reduced, and neighbouring results of a reduction by columns, as one task computes
// them side by side.
#pragma once

#include <algorithm>
#include <cstdint>

#include "anemone/compute/reduce.h"
#include "anemone/compute/slots.h"

namespace anemone::compute {

// Where the input is: in memory, or the inputs of the program that computes it.
struct ReduceSource {
  const void* memory = nullptr;
  std::span<const void* const> inputs = {};
};

// The elements [first, first + n) of what the plan's program computes, in row-major order.
void compute_input(const ReducePlan& plan, std::span<const void* const> inputs, std::int64_t first,
                   std::int64_t n, float* slot);

// n elements of the input, the first at `offset`. What a program computes lies nowhere, but as if
// in row-major order.
inline void load_input(const ReducePlan& plan, const ReduceSource& in, std::ptrdiff_t offset,
                       std::ptrdiff_t stride, std::int64_t n, float* slot) {
  if (plan.program.has_value()) {
    compute_input(plan, in.inputs, offset, n, slot);
  } else {
    plan.convert->load(plan.in_type, element_at(in.memory, plan.in_type, offset), stride, slot, n);
  }
}

struct ColumnBlock {
  PairedWalk::Offsets at;  // of the first
  std::int64_t count = 0;
};

inline ColumnBlock column_block(const ReducePlan& plan, std::int64_t group) {
  const int last = plan.kept.rank - 1;
  const std::int64_t blocks = divide_up(plan.kept.dims[last], plan.width);
  const std::int64_t column = group % blocks * plan.width;
  return {plan.kept.at(group / blocks * plan.kept.dims[last] + column),
          std::min(plan.width, plan.kept.dims[last] - column)};
}

// Loads inputs [begin, end) of every result of the block, one after the other, into `slot`, and
// calls take() behind each.
template <class Take>
void for_each_input(const ReducePlan& plan, const ColumnBlock& block, std::int64_t begin,
                    std::int64_t end, const ReduceSource& in, float* slot, Take&& take) {
  const std::ptrdiff_t stride = plan.kept.in[plan.kept.rank - 1];
  for_each_piece(plan.reduced, begin, end - begin,
                 [&](std::ptrdiff_t offset, std::ptrdiff_t step, std::int64_t, std::int64_t n) {
                   for (std::int64_t i = 0; i < n; ++i) {
                     const std::ptrdiff_t from = block.at.in + offset + i * step;
                     load_input(plan, in, from, stride, block.count, slot);
                     take();
                   }
                 });
}

}  // namespace anemone::compute

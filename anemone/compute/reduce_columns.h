// Neighbouring results of a reduction by columns, as one task computes them side by side.
#pragma once

#include <algorithm>
#include <cstdint>

#include "anemone/compute/reduce.h"
#include "anemone/compute/slots.h"

namespace anemone::compute {

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
                    std::int64_t end, const void* in, float* slot, Take&& take) {
  const std::ptrdiff_t stride = plan.kept.in[plan.kept.rank - 1];
  for_each_piece(plan.reduced, begin, end - begin,
                 [&](std::ptrdiff_t offset, std::ptrdiff_t step, std::int64_t, std::int64_t n) {
                   for (std::int64_t i = 0; i < n; ++i) {
                     const std::ptrdiff_t from = block.at.in + offset + i * step;
                     plan.convert->load(plan.in_type, element_at(in, plan.in_type, from), stride,
                                        slot, block.count);
                     take();
                   }
                 });
}

}  // namespace anemone::compute

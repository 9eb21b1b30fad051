// A kernel family's table: one row per instruction set, best first, the last row always matches.
//
// Production picks the first row the processor has; tests and benchmarks walk all rows.
#pragma once

#include "anemone/base/cpu_features.h"

namespace anemone::kernels {

template <class Row>
struct KernelTable {
  const Row* rows = nullptr;
  int count = 0;

  const Row* begin() const { return rows; }
  const Row* end() const { return rows + count; }
  const Row& pick(const CpuFeatures& features) const {
    int i = 0;
    while (i + 1 < count && !features.has(rows[i].isa)) ++i;
    return rows[i];
  }
};

}  // namespace anemone::kernels

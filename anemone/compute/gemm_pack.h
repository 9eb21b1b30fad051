// The packing half of a matrix product; only gemm_*.cpp include this.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/compute/gemm.h"

namespace anemone::compute {

struct DepthRange {
  std::int64_t begin = 0, end = 0;
};

// The depths of a panel that can be other than zero; multiples of the kernel's k_step.
DepthRange panel_depths(const GemmPlan& plan, const GemmPlan::Side& side, std::int64_t panel);

// Packs panel number `panel` of batch item `item` of a variable operand. Only its panel_depths are
// written.
void pack_panel(const GemmPlan& plan, const GemmPlan::Side& side, const void* source,
                std::int64_t item, std::int64_t panel, std::byte* to);

}  // namespace anemone::compute

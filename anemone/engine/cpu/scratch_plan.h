// The memory of intermediate values and workspaces: results that may overwrite a dying operand do,
// and what is left is planned by lifetimes (memory_plan.h).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "anemone/engine/cpu/placement.h"
#include "anemone/engine/cpu/step.h"

namespace anemone::cpu {

struct ScratchPlan {
  std::vector<std::size_t> storages;    // by storage: offset, of those that are scratch
  std::vector<std::size_t> workspaces;  // by step
  std::size_t bytes = 0;
};

ScratchPlan plan_scratch(std::span<const Storage> storages, std::span<const Step> steps);

}  // namespace anemone::cpu

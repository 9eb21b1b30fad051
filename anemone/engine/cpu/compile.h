// From a function to steps: passes, fusion, placement, lowering, memory plan.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/engine/cpu/constants.h"
#include "anemone/engine/cpu/lower/context.h"
#include "anemone/engine/cpu/placement.h"
#include "anemone/engine/cpu/scratch_plan.h"
#include "anemone/engine/cpu/step.h"
#include "anemone/engine/engine.h"
#include "anemone/mil/ir.h"

namespace anemone::cpu {

struct CompiledProgram {
  std::vector<Storage> storages;
  std::vector<std::byte*> constants;  // by storage: memory of plain constants, else null
  std::vector<Step> steps;
  ScratchPlan scratch;
};

// Why this engine cannot take a function; empty: it can.
std::string unsupported_reason(const mil::Function& function);

// `function` has been through the passes; `constants` refers to it. `disabled`: fusions to leave
// out.
CompiledProgram compile_function(const mil::Function& function, Constants& constants,
                                 const Machine& machine,
                                 const std::vector<std::string>& disabled_fusions);

// The listing of Executable::explain.
std::string explain_program(const std::string& name, const CompiledProgram& program,
                            const Constants& constants, const Machine& machine);

}  // namespace anemone::cpu

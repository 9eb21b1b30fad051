// Passes: rewrites of one function that keep its meaning. One per file; the ones that every engine
// wants run in the order of passes.inc; the others (pack_io) are called by whoever needs them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "anemone/mil/constant_source.h"
#include "anemone/mil/ir.h"

namespace anemone::mil {

struct PassContext {
  ConstantSource& constants;
};

struct Pass {
  std::string_view name;
  bool (*run)(Function&, PassContext&);  // true if it changed anything
};

// PASS(name) in passes.inc defines the order: fold_constants, eliminate_dead_code, …
std::span<const Pass> standard_passes();
// Runs them once, in order. `disabled`: names to leave out (debugging, tests).
void run_standard_passes(Function& function, PassContext& context,
                         std::span<const std::string_view> disabled = {});

#define PASS(name) bool name(Function& function, PassContext& context);
#include "anemone/mil/passes/passes.inc"
#undef PASS

}  // namespace anemone::mil

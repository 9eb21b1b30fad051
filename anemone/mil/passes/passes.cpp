// The list of passes, from passes.inc.
#include "anemone/mil/passes/passes.h"

#include <algorithm>
#include <array>

namespace anemone::mil {
namespace {

constexpr std::array kPasses = {
#define PASS(name) Pass{#name, name},
#include "anemone/mil/passes/passes.inc"
#undef PASS
};

}  // namespace

std::span<const Pass> standard_passes() { return kPasses; }

void run_standard_passes(Function& function, PassContext& context,
                         std::span<const std::string_view> disabled) {
  for (const Pass& pass : kPasses) {
    if (std::find(disabled.begin(), disabled.end(), pass.name) == disabled.end()) {
      pass.run(function, context);
    }
  }
}

}  // namespace anemone::mil

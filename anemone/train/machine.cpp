// Machine and build in words.
#include "anemone/train/machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "anemone/base/cpu_features.h"
#include "anemone/base/version.h"

namespace anemone::train {

std::string best_isa() {
  Isa best = Isa::plain;
#define ANEMONE_BEST(name, text) \
  if (cpu_features().has(Isa::name)) best = Isa::name;
  ANEMONE_ISAS(ANEMONE_BEST)
#undef ANEMONE_BEST
  return isa_name(best);
}

std::string build_text() {
  const BuildInfo& build = build_info();
  return fmt::format("{} ({}, {}, {})", build.version, build.git, build.build_type, build.compiler);
}

double usable_peak_flops(const compute::Peak& peak, const std::string& precision) {
  return precision == "fp32" ? peak.fp32_flops : std::max(peak.fp32_flops, peak.bf16_flops);
}

}  // namespace anemone::train

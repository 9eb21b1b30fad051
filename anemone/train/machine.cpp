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
  if (precision == "fp32") return peak.fp32_flops;
  if (precision == "bf16") return std::max(peak.fp32_flops, peak.bf16_flops);
  // Whole fp16 operands take three bf16 products (hi·hi + hi·lo + lo·hi), or one in fp32.
  return std::max(peak.fp32_flops, peak.bf16_flops / 3);
}

}  // namespace anemone::train

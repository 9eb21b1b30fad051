// The list of fusions.
#include "anemone/engine/cpu/fusion/fusion.h"

#include <array>

namespace anemone::cpu {

std::span<const Fusion* const> fusions() {
  static const std::array kAll = {
#define FUSION(name) &fusion_##name,
#include "anemone/engine/cpu/fusion/fusion.inc"
#undef FUSION
  };
  return kAll;
}

}  // namespace anemone::cpu

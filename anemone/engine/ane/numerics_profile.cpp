// The table of chips. Certainty: B two independent sources, C one measurement, D contested, E our
// inference from a neighbour. docs/numerics.md says what was measured and by whom.
#include "anemone/engine/ane/numerics_profile.h"

#include <fmt/format.h>

#include <string>

#include "anemone/base/error.h"

namespace anemone::engine::ane {
namespace {

constexpr auto kToInfinity = InteriorOverflow::infinity;

// Columns:        tiles  rounds  flushes  interior  ties  crops
constexpr NumericsProfile kProfiles[] = {
    // All measured on the chip (C). Rounding of each product is contested (D); within a tile, 12
    // bits are kept, which is nearly the same.
    {"m1", "M1 (h13)", true, false, true, kToInfinity, Ties::to_even, true},
    // Saturation (M2 Pro) and crops C; the rest E, flushing after its neighbours on both sides.
    {"m2", "M2 (h14)", false, false, true, kToInfinity, Ties::to_even, true},
    // Measured on an M3 Ultra (h15g), C, ties included.
    {"m3", "M3 (h15)", false, true, true, InteriorOverflow::zero, Ties::away_from_zero, false},
    // Flushing D: one project saw products of 3e-6 vanish in training. Saturation E, since the
    // chips on both sides do it; the rest E.
    {"m4", "M4 (h16)", false, false, true, kToInfinity, Ties::to_even, false},
    // Measured (C), ties D: perhaps the sum was not an exact tie.
    {"m5", "M5 (h16, h17)", false, false, false, kToInfinity, Ties::away_from_zero, false},
};

constexpr std::string_view kDefault = "m4";

}  // namespace

std::span<const NumericsProfile> numerics_profiles() { return kProfiles; }

const NumericsProfile& numerics_profile(std::string_view name) {
  if (name.empty()) name = kDefault;
  std::string known;
  for (const NumericsProfile& profile : kProfiles) {
    if (profile.name == name) return profile;
    known += (known.empty() ? "" : ", ") + std::string(profile.name);
  }
  throw Error(fmt::format("the Neural Engine has no profile \"{}\"", name), {}, known);
}

}  // namespace anemone::engine::ane

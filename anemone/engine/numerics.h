// The arithmetics a program can be run by: "exact", which is the meaning of its operations, or one
// that a device has, emulated by the reference engine.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "anemone/mil/arithmetic.h"

namespace anemone::engine {

inline constexpr std::string_view kExactNumerics = "exact";

// NAME or NAME:PROFILE; null for "exact". Throws Error saying what there is.
std::shared_ptr<const mil::Arithmetic> make_numerics(std::string_view name);

// "ane:m4: as … computes, emulated by the reference engine", for people.
std::string describe(const mil::Arithmetic& arithmetic);

}  // namespace anemone::engine

// Numbers that many tests need.
#pragma once

#include <limits>

namespace anemone::test {

inline constexpr double kEps = 0x1p-24;  // what rounding to fp32 changes at most, relatively
inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

}  // namespace anemone::test

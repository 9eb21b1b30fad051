// Bytes as people read them.
#pragma once

#include <cstdint>

namespace anemone {

inline double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

}  // namespace anemone

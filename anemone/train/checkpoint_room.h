// Whether checkpoints will find room on the disk: better said before hours of training than after.
#pragma once

#include <cstdint>
#include <string>

namespace anemone::train {

// A warning for a disk with `available` bytes left, checkpoints of `bytes` each, and `more` of them
// to come at once, one at least; empty where they fit.
std::string room_warning(std::uint64_t available, std::uint64_t bytes, std::uint64_t more);

}  // namespace anemone::train

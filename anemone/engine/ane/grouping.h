// Which functions share a program: as few programs as the number of constants from files that a
// program may have allows, in the order given. A pure function.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace anemone::engine::ane {

// `tensors`: constants from files, by function. Each group holds consecutive indices; a function
// with more than `limit` stands alone.
std::vector<std::vector<std::size_t>> group_functions(std::span<const int> tensors, int limit);

}  // namespace anemone::engine::ane

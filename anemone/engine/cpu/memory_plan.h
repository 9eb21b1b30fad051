// Which part of one block of memory each intermediate value of a program gets: a pure function from
// lifetimes and sizes to offsets. Values that are never alive together share memory.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace anemone::cpu {

// A value that must keep its memory from step `first` to step `last`, both included.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;  // one per lifetime, multiples of kAlignment
  std::size_t bytes = 0;             // of the whole block

  static constexpr std::size_t kAlignment = 128;
};

// Largest values first, each in the smallest gap that holds it (the greedy-by-size method of
// Pisarchyk and Lee, 2020): within a few percent of the best in practice, at least the largest sum
// of values alive at one step and at most the sum of all. Throws Error if sizes overflow.
MemoryPlan plan_memory(std::span<const Lifetime> lifetimes);

}  // namespace anemone::cpu

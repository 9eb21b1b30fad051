// Greedy-by-size placement of values in one block.
#include "anemone/engine/cpu/memory_plan.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>

#include "anemone/base/error.h"

namespace anemone::cpu {
namespace {

std::size_t rounded(std::size_t bytes) {
  return (bytes + MemoryPlan::kAlignment - 1) / MemoryPlan::kAlignment * MemoryPlan::kAlignment;
}

void check_sizes(std::span<const Lifetime> lifetimes) {
  std::size_t sum = 0;
  for (const Lifetime& value : lifetimes) {
    constexpr std::size_t kMost = std::numeric_limits<std::ptrdiff_t>::max();
    if (value.bytes > kMost / 2 || sum > kMost / 2)
      throw Error("the intermediate values need more memory than can be addressed");
    sum += rounded(value.bytes);
  }
}

// What has been placed, ordered by offset.
struct Placed {
  std::size_t begin, end;
  int first, last;
};

// The start of the smallest gap of at least `bytes` between the values alive together with `value`.
std::size_t best_offset(const std::vector<Placed>& placed, const Lifetime& value,
                        std::size_t bytes) {
  std::size_t best = 0;
  std::size_t best_gap = std::numeric_limits<std::size_t>::max();
  std::size_t free_from = 0;
  for (const Placed& other : placed) {
    if (other.last < value.first || other.first > value.last) continue;
    if (other.begin > free_from) {
      const std::size_t gap = other.begin - free_from;
      if (gap >= bytes && gap < best_gap) {
        best = free_from;
        best_gap = gap;
      }
    }
    free_from = std::max(free_from, other.end);
  }
  return best_gap == std::numeric_limits<std::size_t>::max() ? free_from : best;
}

}  // namespace

MemoryPlan plan_memory(std::span<const Lifetime> lifetimes) {
  check_sizes(lifetimes);
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return lifetimes[a].bytes > lifetimes[b].bytes;
  });

  MemoryPlan plan;
  plan.offsets.resize(lifetimes.size(), 0);
  std::vector<Placed> placed;
  for (const std::size_t index : order) {
    const Lifetime& value = lifetimes[index];
    const std::size_t bytes = rounded(value.bytes);
    if (bytes == 0) continue;
    const std::size_t offset = best_offset(placed, value, bytes);
    plan.offsets[index] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytes);
    const Placed entry{offset, offset + bytes, value.first, value.last};
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), entry,
                         [](const Placed& a, const Placed& b) { return a.begin < b.begin; }),
        entry);
  }
  return plan;
}

}  // namespace anemone::cpu

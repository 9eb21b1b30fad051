// Properties of the memory plan, on random lifetimes.
#include "anemone/engine/cpu/memory_plan.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "anemone/base/error.h"

namespace anemone::cpu {
namespace {

std::vector<Lifetime> random_lifetimes() {
  const int steps = *rc::gen::inRange(1, 40);
  const auto lifetime =
      rc::gen::map(rc::gen::tuple(rc::gen::inRange<std::size_t>(0, 5000),
                                  rc::gen::inRange(0, steps), rc::gen::inRange(0, steps)),
                   [](const std::tuple<std::size_t, int, int>& drawn) {
                     const auto [bytes, a, b] = drawn;
                     return Lifetime{bytes, std::min(a, b), std::max(a, b)};
                   });
  return *rc::gen::container<std::vector<Lifetime>>(lifetime);
}

std::size_t rounded(std::size_t bytes) {
  return (bytes + MemoryPlan::kAlignment - 1) / MemoryPlan::kAlignment * MemoryPlan::kAlignment;
}

bool alive_together(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

RC_GTEST_PROP(MemoryPlan, ValuesAliveTogetherDoNotOverlap, ()) {
  const std::vector<Lifetime> values = random_lifetimes();
  const MemoryPlan plan = plan_memory(values);
  RC_ASSERT(plan.offsets.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    RC_ASSERT(plan.offsets[i] % MemoryPlan::kAlignment == 0U);
    RC_ASSERT(plan.offsets[i] + values[i].bytes <= plan.bytes);
    for (std::size_t j = 0; j < i; ++j) {
      if (!alive_together(values[i], values[j])) continue;
      if (values[i].bytes == 0 || values[j].bytes == 0) continue;
      RC_ASSERT(plan.offsets[i] + values[i].bytes <= plan.offsets[j] ||
                plan.offsets[j] + values[j].bytes <= plan.offsets[i]);
    }
  }
}

RC_GTEST_PROP(MemoryPlan, TotalIsBetweenWhatIsAliveAtOnceAndTheSum, ()) {
  const std::vector<Lifetime> values = random_lifetimes();
  const MemoryPlan plan = plan_memory(values);
  std::size_t sum = 0, most_alive = 0;
  for (const Lifetime& value : values) {
    sum += rounded(value.bytes);
    std::size_t alive = 0;
    for (const Lifetime& other : values) {
      if (other.first <= value.first && value.first <= other.last) alive += rounded(other.bytes);
    }
    most_alive = std::max(most_alive, alive);
  }
  RC_ASSERT(plan.bytes >= most_alive);
  RC_ASSERT(plan.bytes <= sum);
}

TEST(MemoryPlan, AChainNeedsItsTwoLargestNeighbours) {
  const std::vector<Lifetime> chain = {{1024, 0, 1}, {2048, 1, 2}, {1024, 2, 3}, {512, 3, 4}};
  EXPECT_EQ(plan_memory(chain).bytes, 3072U);
}

TEST(MemoryPlan, RefusesSizesThatCannotBeAddressed) {
  const std::size_t huge = std::numeric_limits<std::size_t>::max() - 5;
  EXPECT_THROW(plan_memory(std::vector<Lifetime>{{huge, 0, 0}}), Error);
  EXPECT_THROW(plan_memory(std::vector<Lifetime>{{huge / 4, 0, 0}, {huge / 4, 1, 1}}), Error);
}

}  // namespace
}  // namespace anemone::cpu

// How often something comes round that is done every so many updates, and at the end: one rule for
// the loop that does it and for the plan that counts it.
#pragma once

#include <cstdint>

namespace anemone::train {

// After `update` updates of a run; `every` 0 = at the end only.
inline bool is_due(std::int64_t every, std::uint64_t update, bool at_end) {
  return at_end || (every > 0 && update % static_cast<std::uint64_t>(every) == 0);
}

// How often is_due says yes in a run of so many updates.
inline std::uint64_t times_due(std::int64_t every, std::uint64_t updates) {
  if (updates == 0) return 0;
  if (every <= 0) return 1;
  const auto between = static_cast<std::uint64_t>(every);
  return updates / between + (updates % between == 0 ? 0 : 1);
}

}  // namespace anemone::train

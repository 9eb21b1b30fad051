// See grouping.h.
#include "anemone/engine/ane/grouping.h"

namespace anemone::engine::ane {

std::vector<std::vector<std::size_t>> group_functions(std::span<const int> tensors, int limit) {
  std::vector<std::vector<std::size_t>> groups;
  int used = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (groups.empty() || used + tensors[i] > limit) {
      groups.emplace_back();
      used = 0;
    }
    groups.back().push_back(i);
    used += tensors[i];
  }
  return groups;
}

}  // namespace anemone::engine::ane

// Optimal string alignment distance over three rows.
#include "anemone/base/nearest_name.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

namespace anemone {
namespace {

constexpr std::size_t kLongestName = 64;  // beyond this nobody's typing error is meant

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t fewest = std::numeric_limits<std::size_t>::max();
  if (name.size() > kLongestName) return best;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kLongestName) continue;
    const std::size_t allowed =
        std::max<std::size_t>(1, std::max(name.size(), candidate.size()) / 3);
    const std::size_t shorter = std::min(name.size(), candidate.size());
    const std::size_t longer = std::max(name.size(), candidate.size());
    if (longer - shorter > allowed || longer - shorter >= fewest) continue;
    const std::size_t edits = distance(name, candidate);
    if (edits > allowed || edits >= fewest || edits >= longer) continue;
    fewest = edits;
    best = candidate;
  }
  return best;
}

}  // namespace anemone

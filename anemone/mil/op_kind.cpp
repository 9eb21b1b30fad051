// Names of operations, both ways.
#include "anemone/mil/op_kind.h"

#include <algorithm>
#include <array>
#include <utility>

namespace anemone::mil {
namespace {

// The enumerator's name without the underscore that keeps it off a keyword.
constexpr std::string_view text_name(std::string_view enumerator) {
  if (enumerator.ends_with('_')) enumerator.remove_suffix(1);
  return enumerator;
}

constexpr std::array kNames = {
#define OP(name) text_name(#name),
#include "anemone/mil/ops/ops.inc"
#undef OP
};

using Entry = std::pair<std::string_view, OpKind>;

const std::array<Entry, kNames.size()>& sorted_names() {
  static const auto table = [] {
    std::array<Entry, kNames.size()> entries{};
    for (std::size_t i = 0; i < kNames.size(); ++i)
      entries[i] = {kNames[i], static_cast<OpKind>(i)};
    std::sort(entries.begin(), entries.end());
    return entries;
  }();
  return table;
}

}  // namespace

std::string_view op_name(OpKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<OpKind> find_op(std::string_view name) {
  const auto& table = sorted_names();
  const auto found =
      std::lower_bound(table.begin(), table.end(), name,
                       [](const Entry& e, std::string_view n) { return e.first < n; });
  if (found == table.end() || found->first != name) return std::nullopt;
  return found->second;
}

}  // namespace anemone::mil

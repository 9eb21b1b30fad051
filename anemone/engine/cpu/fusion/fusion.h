// Fusions: patterns of operations that one step computes better than several. One per file, tried
// in the order of fusion.inc; each sees the graph as the ones before it left it.
#pragma once

#include <span>
#include <string_view>

#include "anemone/engine/cpu/group_graph.h"
#include "anemone/engine/cpu/lower/op_table.h"

namespace anemone::cpu {

struct Fusion {
  std::string_view name;
  void (*apply)(GroupGraph& graph);
  // How groups made by it are computed; empty: by the row of their first operation. Must take every
  // group that `apply` makes.
  std::span<const Alternative> alternatives;
};

std::span<const Fusion* const> fusions();

#define FUSION(name) extern const Fusion fusion_##name;
#include "anemone/engine/cpu/fusion/fusion.inc"
#undef FUSION

}  // namespace anemone::cpu

// What patterns ask of a graph.
#pragma once

#include "anemone/engine/cpu/group_graph.h"

namespace anemone::cpu {

inline const mil::Type& result_type(const GroupGraph& graph, const mil::Operation& op) {
  return graph.function().type(op.results.front());
}

// The only operation of a group that nothing has been fused with; null otherwise.
inline const mil::Operation* single_op(const GroupGraph& graph, int index) {
  if (index < 0) return nullptr;
  const Group& group = graph.group(index);
  if (group.merged_away() || group.fusion != nullptr || group.ops.size() != 1) return nullptr;
  return &graph.op(group.ops.front());
}

// The same of the group that gives a value, if it is of this kind.
inline const mil::Operation* producer_op(const GroupGraph& graph, mil::Value value,
                                         mil::OpKind kind) {
  const mil::Operation* op = single_op(graph, graph.producer(value));
  return op != nullptr && op->kind == kind ? op : nullptr;
}

}  // namespace anemone::cpu

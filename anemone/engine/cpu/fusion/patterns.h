// What patterns ask of a graph.
#pragma once

#include <optional>

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

// The other operand of a commutative operation; invalid if `value` is none of them.
mil::Value other_operand(const mil::Operation& op, mil::Value value);

// value = source · factor, with the type of source.
struct Scaled {
  mil::Value source;
  double factor = 1;
};
std::optional<Scaled> as_scaled(const GroupGraph& graph, const mil::Operation& op);

// p · (dp - Σ p · dp) over the last axis, the derivative of softmax.
struct SoftmaxGradient {
  mil::Value p, dp;
  mil::Value product, sum, centered;  // in between
  mil::Value result;
};
// The one whose last operation is the group's.
std::optional<SoftmaxGradient> match_softmax_gradient(const GroupGraph& graph, int index);

}  // namespace anemone::cpu

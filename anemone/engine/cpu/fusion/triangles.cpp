// Products around causal attention: where a factor is 0 above the diagonal, or nobody looks at a
// result there, whole tiles are skipped. Half of the work of attention.
#include <algorithm>

#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/engine/cpu/fusion/patterns.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {
namespace {

bool is_marked(const Group& group, mil::Value value) {
  const auto& marked = group.lower_triangular;
  return std::find(marked.begin(), marked.end(), value) != marked.end();
}

bool is_causal(const Group& group) {
  return (group.fusion == &fusion_causal_softmax || group.fusion == &fusion_softmax_backward) &&
         !group.lower_triangular.empty();
}

// A matmul and what has been folded into it.
bool is_matmul(const GroupGraph& graph, const Group& group) {
  if (group.merged_away()) return false;
  if (group.fusion != nullptr && group.fusion != &fusion_product) return false;
  return graph.op(group.ops.front()).kind == mil::OpKind::matmul;
}

void mark(GroupGraph& graph) {
  for (const Group& group : graph.groups()) {
    if (group.merged_away() || !is_causal(group)) continue;
    for (const mil::Value value : group.outputs) {
      for (const int reader : graph.readers(value)) {
        if (is_matmul(graph, graph.group(reader)))
          graph.group(reader).lower_triangular.push_back(value);
      }
    }
  }
  // A product of which every reader sees only the lower triangle. What is left above is not even
  // finite, so it must not be an output.
  for (Group& group : graph.groups()) {
    if (!is_matmul(graph, group)) continue;
    const mil::Value result = group.outputs.front();
    const std::vector<int>& readers = graph.readers(result);
    const auto sees_triangle = [&](int reader) {
      return is_causal(graph.group(reader)) && is_marked(graph.group(reader), result);
    };
    if (!graph.is_output(result) && !readers.empty() &&
        std::all_of(readers.begin(), readers.end(), sees_triangle))
      group.lower_triangular.push_back(result);
  }
}

}  // namespace

const Fusion fusion_triangles = {"triangles", mark, {}};

}  // namespace anemone::cpu

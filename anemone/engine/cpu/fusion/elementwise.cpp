// Arithmetic on elements of one shape becomes one program: one pass over memory, values inside it
// neither stored nor rounded. Smaller operands are broadcast while they are read.
#include <algorithm>
#include <iterator>

#include "anemone/base/dtype.h"
#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/engine/cpu/fusion/patterns.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/engine/cpu/lower/math_rules.h"

namespace anemone::cpu {
namespace {

// Longer programs gain nothing and make compiling slow.
constexpr std::size_t kMostElementwiseOps = 48;

bool is_math(const GroupGraph& graph, const Group& group) {
  if (group.fusion == &fusion_elementwise) return true;
  if (group.merged_away() || group.fusion != nullptr || group.ops.size() != 1) return false;
  const mil::Operation& op = graph.op(group.ops.front());
  if (op_row(op.kind).math == nullptr) return false;
  // Integers and truth values are what they are only after they have been stored.
  const mil::Type& result = graph.function().type(op.results.front());
  return is_float(result.dtype) && math_refusal(graph.function(), op).empty();
}

bool fits(const GroupGraph& graph, const Group& first, const Group& second) {
  const Shape& shape = graph.function().type(first.outputs.front()).shape;
  if (!(shape == graph.function().type(second.outputs.front()).shape)) return false;
  if (first.ops.size() + second.ops.size() > kMostElementwiseOps) return false;
  std::vector<int> ops;
  std::set_union(first.ops.begin(), first.ops.end(), second.ops.begin(), second.ops.end(),
                 std::back_inserter(ops));
  // At worst everything the first one writes is still wanted.
  std::vector<mil::Value> outputs = first.outputs;
  outputs.insert(outputs.end(), second.outputs.begin(), second.outputs.end());
  return math_program(graph.function(), ops, outputs).has_value();
}

// A group that feeds `index` and can become a part of it; -1 if there is none.
int mergeable_producer(const GroupGraph& graph, int index) {
  for (const mil::Value value : graph.group(index).inputs) {
    const int producer = graph.producer(value);
    if (producer < 0 || !is_math(graph, graph.group(producer))) continue;
    if (!fits(graph, graph.group(producer), graph.group(index))) continue;
    if (!graph.merge_makes_cycle(producer, index)) return producer;
  }
  return -1;
}

// A float read as a wider one: costs nothing while it is loaded, so every reader does it for itself
// and the wide copy is never stored.
bool is_widening(const GroupGraph& graph, int index) {
  const mil::Operation* op = single_op(graph, index);
  if (op == nullptr || op->kind != mil::OpKind::cast || !is_math(graph, graph.group(index)))
    return false;
  const DType from = graph.function().type(op->arguments.front().front()).dtype;
  return is_float(from) && dtype_size(from) < dtype_size(result_type(graph, *op).dtype);
}

// Converts what it reads while it loads it, as arithmetic does.
bool converts_as_it_loads(const GroupGraph& graph, int index) {
  const mil::Operation* op = single_op(graph, index);
  if (op == nullptr) return false;
  switch (op->kind) {
    case mil::OpKind::reduce_sum:
    case mil::OpKind::reduce_mean:
    case mil::OpKind::reduce_max:
    case mil::OpKind::reduce_log_sum_exp:
      return true;
    default:
      return false;
  }
}

void repeat_widenings(GroupGraph& graph) {
  for (std::size_t i = 0; i < graph.groups().size(); ++i) {
    const int index = static_cast<int>(i);
    if (!is_widening(graph, index)) continue;
    const mil::Value result = graph.group(index).outputs.front();
    const mil::Value source = single_op(graph, index)->arguments.front().front();
    const std::vector<int> readers = graph.readers(result);
    for (const int reader : readers) {
      if (converts_as_it_loads(graph, reader)) graph.rewire(reader, result, source);
      if (!is_math(graph, graph.group(reader))) continue;
      graph.repeat_in(index, reader);
      graph.group(reader).fusion = &fusion_elementwise;
    }
  }
}

void fuse_elementwise(GroupGraph& graph) {
  repeat_widenings(graph);
  for (std::size_t i = 0; i < graph.groups().size(); ++i) {
    const int index = static_cast<int>(i);
    if (!is_math(graph, graph.group(index))) continue;
    for (int producer = mergeable_producer(graph, index); producer >= 0;
         producer = mergeable_producer(graph, index)) {
      graph.merge(producer, index);
      graph.group(index).fusion = &fusion_elementwise;
    }
  }
}

}  // namespace

const Fusion fusion_elementwise = {"elementwise", fuse_elementwise, kElementwiseAlternatives};

}  // namespace anemone::cpu

// Sums over what is computed from other tensors: a reduction computes its elements while it reads,
// so that squares, products with a gradient and wide copies are never stored. Cheap arithmetic is
// repeated even where other steps want its result, too, if they can all do the same.
#include <algorithm>
#include <iterator>

#include "anemone/base/dtype.h"
#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/engine/cpu/fusion/patterns.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/engine/cpu/lower/math_rules.h"

namespace anemone::cpu {
namespace {

// What is computed again for a reduction should cost less than reading it.
constexpr std::size_t kMostReductionOps = 8;

bool is_reduction(const GroupGraph& graph, int index) {
  if (graph.group(index).fusion == &fusion_reduction) return true;
  const mil::Operation* op = single_op(graph, index);
  return op != nullptr &&
         (op->kind == mil::OpKind::reduce_sum || op->kind == mil::OpKind::reduce_mean ||
          op->kind == mil::OpKind::reduce_max);
}

// A single operation on floats that a program can do.
const mil::Operation* math_op(const GroupGraph& graph, int index) {
  const mil::Operation* op = single_op(graph, index);
  if (op == nullptr || op_row(op->kind).math == nullptr) return nullptr;
  const bool floats =
      is_float(result_type(graph, *op).dtype) && math_refusal(graph.function(), *op).empty();
  return floats ? op : nullptr;
}

bool is_cheap(mil::OpKind kind) {
  return kind == mil::OpKind::add || kind == mil::OpKind::sub || kind == mil::OpKind::mul ||
         kind == mil::OpKind::cast;
}

// Everybody who reads the value computes it for himself, then: it need not be stored.
bool may_be_repeated(const GroupGraph& graph, mil::Value value) {
  if (graph.is_output(value)) return false;
  const std::vector<int>& readers = graph.readers(value);
  return std::all_of(readers.begin(), readers.end(), [&](int reader) {
    return is_reduction(graph, reader) || math_op(graph, reader) != nullptr;
  });
}

// The group of `value` can become a part of reduction `index` of tensors of this shape.
bool fits(const GroupGraph& graph, int index, mil::Value value, const Shape& shape) {
  const int producer = graph.producer(value);
  const mil::Operation* op = producer < 0 ? nullptr : math_op(graph, producer);
  if (op == nullptr) return false;
  // A cast of a smaller tensor costs nothing where it is read; other arithmetic on it is not done
  // again and again.
  if (op->kind != mil::OpKind::cast && !(result_type(graph, *op).shape == shape)) return false;
  if (!graph.only_reader(value, index) && !(is_cheap(op->kind) && may_be_repeated(graph, value)))
    return false;
  std::vector<int> ops = graph.group(index).ops;
  const mil::Value operand = graph.op(ops.back()).arguments.front().front();
  ops.pop_back();
  ops.insert(std::lower_bound(ops.begin(), ops.end(), graph.group(producer).ops.front()),
             graph.group(producer).ops.front());
  return ops.size() <= kMostReductionOps &&
         math_program(graph.function(), ops, {&operand, 1}).has_value();
}

void absorb_producer(GroupGraph& graph, int index, mil::Value value) {
  const int producer = graph.producer(value);
  if (graph.only_reader(value, index)) {
    graph.merge(producer, index);
  } else {
    graph.repeat_in(producer, index);
  }
  graph.group(index).fusion = &fusion_reduction;
}

// Takes one of the groups that the inputs come from; false if there is none to take.
bool grow(GroupGraph& graph, int index, const Shape& shape) {
  const std::vector<mil::Value> inputs = graph.group(index).inputs;
  for (const mil::Value value : inputs) {
    if (!fits(graph, index, value, shape)) continue;
    absorb_producer(graph, index, value);
    return true;
  }
  return false;
}

void fuse_reduction(GroupGraph& graph) {
  for (std::size_t i = 0; i < graph.groups().size(); ++i) {
    const int index = static_cast<int>(i);
    if (graph.group(index).merged_away() || !is_reduction(graph, index)) continue;
    const mil::Value operand = graph.op(graph.group(index).ops.back()).arguments.front().front();
    const mil::Type& type = graph.function().type(operand);
    if (!is_float(type.dtype) || type.shape.elements() == 0) continue;
    if (!fits(graph, index, operand, type.shape)) continue;
    absorb_producer(graph, index, operand);
    while (grow(graph, index, type.shape)) {
    }
  }
}

}  // namespace

const Fusion fusion_reduction = {"reduction", fuse_reduction, kReductionAlternatives};

}  // namespace anemone::cpu

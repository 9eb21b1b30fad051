// What stands around a matrix product and costs nothing inside it: numbers its operands or its
// result are multiplied with, a cast of the result, and one tensor added at the end.
#include <algorithm>
#include <optional>

#include "anemone/base/dtype.h"
#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/engine/cpu/fusion/patterns.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {
namespace {

bool is_product_result(DType type) { return type == DType::fp16 || type == DType::fp32; }

void fold_operand_scales(GroupGraph& graph, int index) {
  const mil::Operation& op = graph.op(graph.group(index).ops.front());
  const mil::Value operands[] = {op.arguments[0].front(), op.arguments[1].front()};
  if (operands[0] == operands[1]) return;  // would need its factor twice
  for (const mil::Value value : operands) {
    const mil::Operation* producer = single_op(graph, graph.producer(value));
    const auto scaled = producer != nullptr ? as_scaled(graph, *producer) : std::nullopt;
    if (!scaled.has_value()) continue;
    const std::vector<mil::Value>& inputs = graph.group(index).inputs;
    if (std::find(inputs.begin(), inputs.end(), scaled->source) != inputs.end()) continue;
    graph.group(index).alpha *= scaled->factor;
    graph.rewire(index, value, scaled->source);
  }
}

bool has_bias(const mil::Operation& op) {
  const int bias = mil::op_def(op.kind).find_param("bias");
  if (bias < 0 || static_cast<std::size_t>(bias) >= op.arguments.size()) return false;
  return !op.arguments[static_cast<std::size_t>(bias)].empty();
}

// The other operand of an addition, if it can be added where the product is stored.
mil::Value addend_of(const GroupGraph& graph, const mil::Operation& op, mil::Value product) {
  if (op.kind != mil::OpKind::add) return {};
  const mil::Value x = op.arguments[0].front(), y = op.arguments[1].front();
  if (x == y || !(graph.function().type(product) == result_type(graph, op))) return {};
  return x == product ? y : x;
}

// Takes the one reader of the product's result into its group; returns the group, or -1.
int absorb_reader(GroupGraph& graph, int index) {
  const Group& group = graph.group(index);
  const mil::Value result = group.outputs.front();
  if (group.residual.valid() || graph.is_output(result)) return -1;
  if (graph.readers(result).size() != 1) return -1;
  const int reader = graph.readers(result).front();
  const mil::Operation* op = single_op(graph, reader);
  if (op == nullptr) return -1;

  double alpha = group.alpha;
  mil::Value residual;
  const bool biased = has_bias(graph.op(group.ops.front()));
  if (const auto scaled = as_scaled(graph, *op); scaled.has_value() && !biased) {
    alpha *= scaled->factor;
  } else if (const mil::Value other = addend_of(graph, *op, result); other.valid() && !biased) {
    residual = other;
  } else if (op->kind != mil::OpKind::cast || !is_product_result(result_type(graph, *op).dtype)) {
    return -1;
  }
  const auto replaced = group.replaced;
  graph.merge(index, reader);
  Group& merged = graph.group(reader);
  merged.fusion = &fusion_product;
  merged.alpha = alpha;
  merged.residual = residual;
  merged.replaced = replaced;
  return reader;
}

void fuse_products(GroupGraph& graph) {
  for (std::size_t i = 0; i < graph.groups().size(); ++i) {
    int index = static_cast<int>(i);
    const mil::Operation* op = single_op(graph, index);
    if (op == nullptr || op_row(op->kind).folds == nullptr) continue;
    if (!op_row(op->kind).folds({mil::op_def(op->kind), graph.function(), *op})) continue;
    fold_operand_scales(graph, index);
    while (index >= 0) index = absorb_reader(graph, index);
  }
}

}  // namespace

const Fusion fusion_product = {"product", fuse_products, {}};

}  // namespace anemone::cpu

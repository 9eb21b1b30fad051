// Parts of patterns that more than one fusion looks for.
#include "anemone/engine/cpu/fusion/patterns.h"

#include "anemone/mil/op_def.h"

namespace anemone::cpu {
namespace {

bool sums_rows(const GroupGraph& graph, const mil::Operation& sum) {
  const mil::OpContext op(mil::op_def(sum.kind), graph.function(), sum);
  const int rank = op.shape(0).rank();
  const int axes = op.def().find_param("axes");
  if (!op.has(axes) || !op.boolean(op.def().find_param("keep_dims"))) return false;
  const std::vector<std::int64_t> given = op.integers(axes);
  return given.size() == 1 && normalize_axis(given.front(), rank) == rank - 1;
}

// `last` is p * centered.
std::optional<SoftmaxGradient> match_with(const GroupGraph& graph, const mil::Operation& last,
                                          mil::Value p) {
  SoftmaxGradient match;
  match.p = p;
  match.result = last.results.front();
  match.centered = other_operand(last, p);
  const mil::Operation* centered = producer_op(graph, match.centered, mil::OpKind::sub);
  if (centered == nullptr) return std::nullopt;
  match.dp = centered->arguments[0].front();
  match.sum = centered->arguments[1].front();
  const mil::Operation* sum = producer_op(graph, match.sum, mil::OpKind::reduce_sum);
  if (sum == nullptr || !sums_rows(graph, *sum)) return std::nullopt;
  match.product = sum->arguments[0].front();
  const mil::Operation* product = producer_op(graph, match.product, mil::OpKind::mul);
  if (product == nullptr || !(other_operand(*product, p) == match.dp)) return std::nullopt;
  const mil::Function& function = graph.function();
  const mil::Type& type = result_type(graph, last);
  const bool plain = function.type(p) == type && function.type(match.dp) == type &&
                     (type.dtype == DType::fp16 || type.dtype == DType::fp32) &&
                     type.shape.elements() > 0;
  return plain ? std::optional(match) : std::nullopt;
}

}  // namespace

mil::Value other_operand(const mil::Operation& op, mil::Value value) {
  const mil::Value x = op.arguments[0].front(), y = op.arguments[1].front();
  return x == value ? y : (y == value ? x : mil::Value{});
}

std::optional<Scaled> as_scaled(const GroupGraph& graph, const mil::Operation& op) {
  if (op.kind != mil::OpKind::mul) return std::nullopt;
  for (const std::size_t number : {std::size_t{0}, std::size_t{1}}) {
    const mil::Constant* constant = graph.function().constant(op.arguments[number].front());
    const mil::Value source = op.arguments[1 - number].front();
    if (constant == nullptr || !constant->has_bytes()) continue;
    if (constant->type().shape.elements() != 1) continue;
    if (!(graph.function().type(source) == result_type(graph, op))) continue;
    return Scaled{source, constant->number()};
  }
  return std::nullopt;
}

std::optional<SoftmaxGradient> match_softmax_gradient(const GroupGraph& graph, int index) {
  const mil::Operation* last = single_op(graph, index);
  if (last == nullptr || last->kind != mil::OpKind::mul) return std::nullopt;
  const auto match = match_with(graph, *last, last->arguments[0].front());
  return match.has_value() ? match : match_with(graph, *last, last->arguments[1].front());
}

}  // namespace anemone::cpu

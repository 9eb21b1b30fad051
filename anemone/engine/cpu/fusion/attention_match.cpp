// Looking for the parts of attention.
#include "anemone/engine/cpu/fusion/attention_match.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "anemone/base/dtype.h"
#include "anemone/engine/cpu/fusion/causal_mask.h"
#include "anemone/engine/cpu/fusion/patterns.h"
#include "anemone/engine/cpu/lower/op_table.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {
namespace {

bool flag(const GroupGraph& graph, const mil::Operation& op, std::string_view param) {
  const mil::OpContext context(mil::op_def(op.kind), graph.function(), op);
  return context.boolean(context.def().find_param(param));
}

struct Matmul {
  mil::Value x, y;
  bool transpose_x = false, transpose_y = false;
};
std::optional<Matmul> as_matmul(const GroupGraph& graph, int index) {
  const mil::Operation* op = single_op(graph, index);
  if (op == nullptr || op->kind != mil::OpKind::matmul) return std::nullopt;
  const Matmul product{op->arguments[0].front(), op->arguments[1].front(),
                       flag(graph, *op, "transpose_x"), flag(graph, *op, "transpose_y")};
  const mil::Function& function = graph.function();
  if (function.type(product.x).shape.rank() < 2 || function.type(product.y).shape.rank() < 2)
    return std::nullopt;
  for (const mil::Value value : {product.x, product.y, op->results.front()}) {
    if (!is_attention_type(graph, value)) return std::nullopt;
  }
  return product;
}

bool is_float_cast(const GroupGraph& graph, const mil::Operation& op) {
  return op.kind == mil::OpKind::cast && is_attention_type(graph, op.arguments[0].front()) &&
         is_attention_type(graph, op.results.front());
}

bool swaps_last_two(const GroupGraph& graph, const mil::Operation& op) {
  if (op.kind != mil::OpKind::transpose) return false;
  const mil::OpContext context(mil::op_def(op.kind), graph.function(), op);
  const int perm = context.def().find_param("perm"), rank = context.shape(0).rank();
  if (rank < 2 || context.constant(perm) == nullptr) return false;
  const std::vector<std::int64_t> axes = context.integers(perm);
  for (int axis = 0; axis < rank; ++axis) {
    const int wanted = axis < rank - 2 ? axis : 2 * rank - 3 - axis;
    if (normalize_axis(axes[static_cast<std::size_t>(axis)], rank) != wanted) return false;
  }
  return true;
}

// Looks behind factors, casts and transpositions.
ScaledHeads resolved(const GroupGraph& graph, HeadTensor tensor) {
  ScaledHeads result{tensor, 1};
  for (;;) {
    mil::Value& value = result.tensor.value;
    const mil::Operation* op = single_op(graph, graph.producer(value));
    if (op == nullptr) return result;
    if (const auto scaled = as_scaled(graph, *op); scaled.has_value()) {
      value = scaled->source;
      result.factor *= scaled->factor;
    } else if (is_float_cast(graph, *op)) {
      value = op->arguments[0].front();
    } else if (swaps_last_two(graph, *op)) {
      value = op->arguments[0].front();
      result.tensor.features_first = !result.tensor.features_first;
    } else {
      return result;
    }
  }
}

// `over_keys`: the matrices are [query, key] as they stand in the sum, not transposed.
std::optional<HeadProduct> match_sum(const GroupGraph& graph, int index, mil::Value weights,
                                     bool over_keys) {
  const auto product = as_matmul(graph, index);
  if (!product.has_value() || product->x == product->y) return std::nullopt;
  const mil::Value result = single_op(graph, index)->results.front();
  if (product->x == weights && product->transpose_x != over_keys) {
    return HeadProduct{index, resolved(graph, {product->y, product->transpose_y}), {result, false}};
  }
  if (product->y == weights && product->transpose_y == over_keys) {
    return HeadProduct{index, resolved(graph, {product->x, !product->transpose_x}), {result, true}};
  }
  return std::nullopt;
}

// One step from the softmax towards the product.
std::string step_back(const GroupGraph& graph, const mil::Operation& op, mil::Value& value,
                      Probabilities& found) {
  if (const auto scaled = as_scaled(graph, op); scaled.has_value()) {
    value = scaled->source;
    found.scale *= scaled->factor;
  } else if (is_float_cast(graph, op)) {
    value = op.arguments[0].front();
  } else if (op.kind == mil::OpKind::add) {
    const MaskedScores masked = causal_scores(graph, op);
    if (!masked.valid()) return "what is added to the scores is no constant causal mask";
    if (found.causal || found.scale != 1) return "the scores are changed after they are masked";
    value = masked.scores;
    found.causal = true;
  } else {
    return "the scores are computed by " + std::string(mil::op_name(op.kind));
  }
  return {};
}

}  // namespace

bool is_attention_type(const GroupGraph& graph, mil::Value value) {
  return is_product_type(graph.function().type(value).dtype);
}

bool is_row_softmax(const GroupGraph& graph, int index) {
  const mil::Operation* op = single_op(graph, index);
  if (op == nullptr || op->kind != mil::OpKind::softmax) return false;
  const mil::OpContext context(mil::op_def(op->kind), graph.function(), *op);
  const int rank = context.shape(0).rank();
  return rank >= 2 && context.shape(0).elements() > 0 && is_product_type(context.dtype(0)) &&
         context.axis(context.def().find_param("axis"), rank) == rank - 1;
}

Probabilities match_probabilities(const GroupGraph& graph, int softmax) {
  Probabilities found;
  found.groups = {softmax};
  mil::Value value = single_op(graph, softmax)->arguments[0].front();
  for (;;) {
    const int producer = graph.producer(value);
    const auto refuse = [&](std::string why) {
      found.refusal = std::move(why);
      return found;
    };
    const mil::Operation* op = single_op(graph, producer);
    if (op == nullptr) return refuse("the scores are not computed here");
    if (!graph.only_reader(value, found.groups.back()))
      return refuse("'" + graph.function().name_of(value) + "' is wanted elsewhere, too");
    found.groups.push_back(producer);
    if (const auto product = match_score_product(graph, producer); product.has_value()) {
      found.q = product->left;
      found.k = product->right;
      found.scale *= found.q.factor * found.k.factor;
      const auto factor = static_cast<float>(found.scale);
      if (!(factor > 0) || !std::isfinite(factor))
        return refuse("the scores are not scaled by a positive number");
      return found;
    }
    std::string why = step_back(graph, *op, value, found);
    if (!why.empty()) return refuse(std::move(why));
  }
}

std::optional<HeadProduct> match_sum_over_keys(const GroupGraph& graph, int index,
                                               mil::Value weights) {
  return match_sum(graph, index, weights, /*over_keys=*/true);
}
std::optional<HeadProduct> match_sum_over_queries(const GroupGraph& graph, int index,
                                                  mil::Value weights) {
  return match_sum(graph, index, weights, /*over_keys=*/false);
}

std::optional<ScoreProduct> match_score_product(const GroupGraph& graph, int index) {
  const auto product = as_matmul(graph, index);
  if (!product.has_value()) return std::nullopt;
  return ScoreProduct{resolved(graph, {product->x, product->transpose_x}),
                      resolved(graph, {product->y, !product->transpose_y})};
}

Followed follow_readers(const GroupGraph& graph, mil::Value value) {
  Followed followed{value, 1, {}};
  while (!graph.is_output(followed.value) && graph.readers(followed.value).size() == 1) {
    const int reader = graph.readers(followed.value).front();
    const mil::Operation* op = single_op(graph, reader);
    if (op == nullptr) break;
    if (const auto scaled = as_scaled(graph, *op); scaled.has_value()) {
      followed.factor *= scaled->factor;
    } else if (!is_float_cast(graph, *op)) {
      break;
    }
    followed.value = op->results.front();
    followed.groups.push_back(reader);
  }
  return followed;
}

Followed follow_producers(const GroupGraph& graph, mil::Value value) {
  Followed followed{value, 1, {}};
  for (;;) {
    const int producer = graph.producer(followed.value);
    const mil::Operation* op = single_op(graph, producer);
    if (op == nullptr) return followed;
    mil::Value source = op->arguments.front().front();
    const auto scaled = as_scaled(graph, *op);
    if (scaled.has_value()) {
      source = scaled->source;
    } else if (!is_float_cast(graph, *op)) {
      return followed;
    }
    if (!graph.only_reader(source, producer)) return followed;
    if (scaled.has_value()) followed.factor *= scaled->factor;
    followed.value = source;
    followed.groups.push_back(producer);
  }
}

namespace {

bool same_view(const mil::Function& function, mil::Value a, mil::Value b) {
  while (!(a == b)) {
    const mil::Operation *first = function.definition(a), *second = function.definition(b);
    if (first == nullptr || second == nullptr || first->kind != second->kind) return false;
    if (op_row(first->kind).view == nullptr || !(function.type(a) == function.type(b)) ||
        function.info(a).result != function.info(b).result)
      return false;
    for (std::size_t i = 1; i < first->arguments.size(); ++i) {
      if (first->arguments[i].size() != second->arguments[i].size()) return false;
      for (std::size_t j = 0; j < first->arguments[i].size(); ++j) {
        const mil::Value mine = first->arguments[i][j], other = second->arguments[i][j];
        const mil::Constant *here = function.constant(mine), *there = function.constant(other);
        const bool equal = here != nullptr && there != nullptr && *here == *there;
        if (!(mine == other) && !equal) return false;
      }
    }
    a = first->arguments.front().front();
    b = second->arguments.front().front();
  }
  return true;
}

}  // namespace

bool same_heads(const GroupGraph& graph, const HeadTensor& a, const HeadTensor& b) {
  return a.features_first == b.features_first && same_view(graph.function(), a.value, b.value);
}

std::string set_sizes(const GroupGraph& graph, mil::Value probabilities, AttentionParts& parts) {
  const auto features = [&](const HeadTensor& tensor) {
    const Shape& shape = graph.function().type(tensor.value).shape;
    return shape[shape.rank() - (tensor.features_first ? 2 : 1)];
  };
  const Shape& shape = graph.function().type(probabilities).shape;
  const int rank = shape.rank();
  parts.batch = Shape(shape.dims().first(static_cast<std::size_t>(rank - 2)));
  parts.queries = shape[rank - 2];
  parts.keys = shape[rank - 1];
  parts.head_dim = features(parts.q);
  parts.value_dim = features(parts.v);
  const bool empty = parts.head_dim == 0 || parts.value_dim == 0;
  return empty ? "queries, keys or values have no features" : "";
}

void join_attention(GroupGraph& graph, int index, const std::vector<int>& members,
                    const AttentionParts& parts, const Fusion& fusion) {
  for (const int member : members) {
    if (member != index) graph.merge(member, index);
  }
  const std::vector<mil::Value> forward = {parts.q.value, parts.k.value, parts.v.value};
  if (parts.backward) {
    graph.set_operands(index, {parts.q.value, parts.k.value, parts.v.value, parts.out.value},
                       {parts.dq.value, parts.dk.value, parts.dv.value});
  } else {
    graph.set_operands(index, forward, {parts.out.value});
  }
  Group& group = graph.group(index);
  group.fusion = &fusion;
  group.attention = std::make_shared<const AttentionParts>(parts);
  group.refusals.clear();
}

}  // namespace anemone::cpu

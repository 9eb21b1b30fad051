// p * (dp - sum over the last axis of p * dp), the derivative of softmax: one pass instead of
// three. Where p is known to be lower triangular (a causal softmax), dp is looked at only there.
#include "anemone/compute/softmax_backward.h"

#include <algorithm>

#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/engine/cpu/fusion/patterns.h"
#include "anemone/engine/cpu/lower/context.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {
namespace {

struct Match {
  mil::Value p, dp, product, sum, centered;
};

// The other operand of a commutative operation; invalid if `value` is none of them.
mil::Value other_operand(const mil::Operation& op, mil::Value value) {
  const mil::Value x = op.arguments[0].front(), y = op.arguments[1].front();
  return x == value ? y : (y == value ? x : mil::Value{});
}

bool sums_rows(const GroupGraph& graph, const mil::Operation& sum) {
  const mil::OpContext op(mil::op_def(sum.kind), graph.function(), sum);
  const int rank = op.shape(0).rank();
  const int axes = op.def().find_param("axes");
  if (!op.has(axes) || !op.boolean(op.def().find_param("keep_dims"))) return false;
  const std::vector<std::int64_t> given = op.integers(axes);
  return given.size() == 1 && normalize_axis(given.front(), rank) == rank - 1;
}

// `last` is p * centered.
std::optional<Match> match_with(const GroupGraph& graph, const mil::Operation& last, mil::Value p) {
  Match match;
  match.p = p;
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

// A value between the parts that nobody else wants.
bool is_inner(const GroupGraph& graph, mil::Value value) {
  return !graph.is_output(value) && graph.readers(value).size() == 1;
}

bool is_lower_triangular(const GroupGraph& graph, mil::Value value) {
  const int producer = graph.producer(value);
  if (producer < 0) return false;
  const Group& group = graph.group(producer);
  return group.fusion == &fusion_causal_softmax && group.outputs.front() == value;
}

void fuse(GroupGraph& graph) {
  for (std::size_t i = 0; i < graph.groups().size(); ++i) {
    const int index = static_cast<int>(i);
    const mil::Operation* last = single_op(graph, index);
    if (last == nullptr || last->kind != mil::OpKind::mul) continue;
    std::optional<Match> match = match_with(graph, *last, last->arguments[0].front());
    if (!match.has_value()) match = match_with(graph, *last, last->arguments[1].front());
    if (!match.has_value() || !is_inner(graph, match->product) || !is_inner(graph, match->sum) ||
        !is_inner(graph, match->centered))
      continue;
    for (const mil::Value value : {match->centered, match->sum, match->product})
      graph.merge(graph.producer(value), index);
    const std::vector<mil::Value> inputs = graph.group(index).inputs;
    for (const mil::Value value : inputs) {  // axes and the like
      if (!(value == match->p) && !(value == match->dp)) graph.drop_input(index, value);
    }
    Group& group = graph.group(index);
    group.fusion = &fusion_softmax_backward;
    group.inputs = {match->p, match->dp};
    if (is_lower_triangular(graph, match->p))
      group.lower_triangular = {match->p, match->dp, group.outputs.front()};
  }
}

struct SoftmaxBackwardCall {
  compute::SoftmaxBackwardPlan plan;
  Operand p, dp, dx;

  void run(const Frame& frame) const {
    compute::run(frame.pool, plan, frame.at(p), frame.at(dp), frame.at(dx));
  }
};

std::string lower(LowerContext& context, Step& step) {
  const Group& group = context.group();
  const mil::Value p = group.inputs[0], dp = group.inputs[1], dx = group.outputs[0];
  compute::SoftmaxBackwardSpec spec;
  spec.shape = context.shape(p);
  spec.p_type = context.dtype(p);
  spec.dp_type = context.dtype(dp);
  spec.dx_type = context.dtype(dx);
  spec.p_strides = context.layout(p).strides;
  spec.dp_strides = context.layout(dp).strides;
  spec.dx_strides = context.layout(dx).strides;
  spec.causal = !group.lower_triangular.empty();
  SoftmaxBackwardCall call{compute::plan_softmax_backward(spec, context.features()),
                           context.read(p, step), context.read(dp, step), context.write(dx, step)};
  context.allow_in_place(dp, dx, step);
  context.allow_in_place(p, dx, step);
  step.implementation = std::string(spec.causal ? "causal " : "") + "softmax backward " +
                        call.plan.elementwise->name + " " + spec.shape.to_string();
  step.call = Call(std::move(call));
  return {};
}

constexpr Alternative kAlternatives[] = {{"softmax backward", lower}};

}  // namespace

const Fusion fusion_softmax_backward = {"softmax_backward", fuse, kAlternatives};

}  // namespace anemone::cpu

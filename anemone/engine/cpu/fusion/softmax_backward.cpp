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

void fuse_softmax_backward(GroupGraph& graph) {
  for (std::size_t i = 0; i < graph.groups().size(); ++i) {
    const int index = static_cast<int>(i);
    const std::optional<SoftmaxGradient> match = match_softmax_gradient(graph, index);
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

std::string lower_softmax_backward(LowerContext& context, Step& step) {
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

constexpr Alternative kSoftmaxBackwardList[] = {{"softmax backward", lower_softmax_backward}};

}  // namespace

const Fusion fusion_softmax_backward = {"softmax_backward", fuse_softmax_backward,
                                        kSoftmaxBackwardList};

}  // namespace anemone::cpu

// softmax(scores + mask) with a constant causal mask: row r has r + 1 elements. The mask is neither
// stored nor added, and what lies above the diagonal is never looked at.
#include "anemone/compute/softmax.h"
#include "anemone/engine/cpu/fusion/causal_mask.h"
#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/engine/cpu/fusion/patterns.h"
#include "anemone/engine/cpu/lower/context.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {
namespace {

void fuse_causal_softmax(GroupGraph& graph) {
  for (std::size_t i = 0; i < graph.groups().size(); ++i) {
    const int index = static_cast<int>(i);
    const mil::Operation* softmax = single_op(graph, index);
    if (softmax == nullptr || softmax->kind != mil::OpKind::softmax) continue;
    const mil::Value x = softmax->arguments.front().front();
    const mil::OpContext context(mil::op_def(softmax->kind), graph.function(), *softmax);
    const int rank = context.shape(0).rank();
    if (context.axis(context.def().find_param("axis"), rank) != rank - 1) continue;
    const mil::Operation* addition = producer_op(graph, x, mil::OpKind::add);
    if (addition == nullptr || !graph.only_reader(x, index)) continue;
    const MaskedScores masked = causal_scores(graph, *addition);
    if (!masked.valid()) continue;
    graph.merge(graph.producer(x), index);
    graph.drop_input(index, masked.mask);
    Group& group = graph.group(index);
    group.fusion = &fusion_causal_softmax;
    group.lower_triangular = {masked.scores, softmax->results.front()};
  }
}

struct CausalSoftmaxCall {
  compute::SoftmaxPlan plan;
  Operand in, out;

  void run(const Frame& frame) const {
    compute::run(frame.pool, plan, frame.at(in), frame.at(out));
  }
};

std::string lower_causal_softmax(LowerContext& context, Step& step) {
  const mil::Value scores = context.group().lower_triangular.front();
  const mil::Value result = context.group().outputs.front();
  compute::SoftmaxSpec spec;
  spec.shape = context.shape(scores);
  spec.axis = spec.shape.rank() - 1;
  spec.in_type = context.dtype(scores);
  spec.in_strides = context.layout(scores).strides;
  spec.out_type = context.dtype(result);
  spec.out_strides = context.layout(result).strides;
  spec.causal = true;
  CausalSoftmaxCall call{compute::plan_softmax(spec, context.features()),
                         context.read(scores, step), context.write(result, step)};
  context.allow_in_place(scores, result, step);
  step.implementation = std::string("causal softmax ") + call.plan.kernel->name + " " +
                        spec.shape.to_string() + ", no mask";
  step.call = Call(std::move(call));
  return {};
}

constexpr Alternative kCausalSoftmaxList[] = {{"causal softmax", lower_causal_softmax}};

}  // namespace

const Fusion fusion_causal_softmax = {"causal_softmax", fuse_causal_softmax, kCausalSoftmaxList};

}  // namespace anemone::cpu

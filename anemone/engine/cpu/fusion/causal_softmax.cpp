// softmax(scores + mask) with a constant causal mask: row r has r + 1 elements. The mask is neither
// stored nor added, and what lies above the diagonal is never looked at.
//
// A mask counts as causal if it is 0 on and below the diagonal and at most -10^4 above: added to
// scores of a trained model's size, that leaves a probability of exactly 0 in fp16 and fp32.
#include <vector>

#include "anemone/base/element.h"
#include "anemone/compute/softmax.h"
#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/engine/cpu/fusion/patterns.h"
#include "anemone/engine/cpu/lower/context.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {
namespace {

constexpr double kHidden = -1e4;

bool is_causal_mask(const mil::Constant& mask, std::int64_t size) {
  const Shape& shape = mask.type().shape;
  const int rank = shape.rank();
  if (!mask.has_bytes() || !is_float(mask.type().dtype) || rank < 2 || size < 2) return false;
  if (shape.elements() != size * size || shape[rank - 1] != size || shape[rank - 2] != size)
    return false;
  std::vector<double> values(static_cast<std::size_t>(size * size));
  load_elements(mask.type().dtype, mask.bytes().data(), values);
  for (std::int64_t row = 0; row < size; ++row) {
    for (std::int64_t column = 0; column < size; ++column) {
      const double value = values[static_cast<std::size_t>(row * size + column)];
      if (column <= row ? value != 0 : !(value <= kHidden)) return false;
    }
  }
  return true;
}

// The scores that `addition` adds a causal mask to; invalid if it does not.
mil::Value masked_scores(const GroupGraph& graph, const mil::Operation& addition) {
  const mil::Function& function = graph.function();
  for (const std::size_t number : {std::size_t{0}, std::size_t{1}}) {
    const mil::Value scores = addition.arguments[number].front();
    const mil::Constant* mask = function.constant(addition.arguments[1 - number].front());
    const Shape& shape = function.type(scores).shape;
    if (mask == nullptr || !(function.type(scores) == result_type(graph, addition))) continue;
    if (shape.rank() < 2 || shape[shape.rank() - 1] != shape[shape.rank() - 2]) continue;
    if (is_causal_mask(*mask, shape[shape.rank() - 1])) return scores;
  }
  return {};
}

void fuse(GroupGraph& graph) {
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
    const mil::Value scores = masked_scores(graph, *addition);
    if (!scores.valid()) continue;
    const bool first = addition->arguments[0].front() == scores;
    const mil::Value mask = addition->arguments[first ? 1 : 0].front();
    graph.merge(graph.producer(x), index);
    graph.drop_input(index, mask);
    Group& group = graph.group(index);
    group.fusion = &fusion_causal_softmax;
    group.lower_triangular = {scores, softmax->results.front()};
  }
}

struct CausalSoftmaxCall {
  compute::SoftmaxPlan plan;
  Operand in, out;

  void run(const Frame& frame) const {
    compute::run(frame.pool, plan, frame.at(in), frame.at(out));
  }
};

std::string lower(LowerContext& context, Step& step) {
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

constexpr Alternative kAlternatives[] = {{"causal softmax", lower}};

}  // namespace

const Fusion fusion_causal_softmax = {"causal_softmax", fuse, kAlternatives};

}  // namespace anemone::cpu

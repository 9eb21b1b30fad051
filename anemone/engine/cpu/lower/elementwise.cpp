// Arithmetic on elements: a group of operations of one shape as one program, one pass over memory.
#include "anemone/compute/elementwise.h"

#include <fmt/format.h>

#include <array>

#include "anemone/base/error.h"
#include "anemone/engine/cpu/lower/context.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/engine/cpu/lower/math_rules.h"

namespace anemone::cpu {
namespace {

struct ElementwiseCall {
  compute::ElementwisePlan plan;
  std::vector<Operand> inputs, outputs;

  void run(const Frame& frame) const {
    std::array<const void*, compute::ElementwisePlan::kMaxSlots> in;
    std::array<void*, compute::ElementwisePlan::kMaxSlots> out;
    for (std::size_t i = 0; i < inputs.size(); ++i) in[i] = frame.at(inputs[i]);
    for (std::size_t i = 0; i < outputs.size(); ++i) out[i] = frame.at(outputs[i]);
    compute::run(frame.pool, plan, std::span(in.data(), inputs.size()),
                 std::span(out.data(), outputs.size()));
  }
};

std::string lower_elementwise(LowerContext& context, Step& step) {
  const Group& group = context.group();
  for (std::size_t i = 0; i < group.ops.size(); ++i) {
    std::string refusal = math_refusal(context.function(), context.op(i));
    if (!refusal.empty()) return refusal;
  }
  const auto program = math_program(context.function(), group.ops, group.outputs);
  if (!program.has_value()) return "more values at once than a program has slots";

  compute::ElementwiseSpec spec;
  ElementwiseCall call;
  spec.shape = context.shape(group.outputs.front());
  spec.steps = program->steps;
  for (const mil::Value value : program->inputs) {
    spec.inputs.push_back(
        {context.dtype(value), broadcast_strides(context.layout(value), spec.shape)});
    call.inputs.push_back(context.read(value, step));
  }
  for (std::size_t i = 0; i < group.outputs.size(); ++i) {
    const mil::Value value = group.outputs[i];
    spec.outputs.push_back(
        {context.dtype(value), context.layout(value).strides, program->outputs[i]});
    call.outputs.push_back(context.write(value, step));
  }
  for (const mil::Value input : program->inputs) {
    for (const mil::Value output : group.outputs) context.allow_in_place(input, output, step);
  }
  call.plan = compute::plan_elementwise(spec, context.features());
  step.implementation = fmt::format("elementwise {} {}, {} in, {} steps, {} out",
                                    call.plan.kernel->name, spec.shape.to_string(),
                                    spec.inputs.size(), spec.steps.size(), spec.outputs.size());
  step.call = Call(std::move(call));
  return {};
}

constexpr Alternative kElementwiseList[] = {{"elementwise", lower_elementwise}};

}  // namespace

const std::span<const Alternative> kElementwiseAlternatives = kElementwiseList;

}  // namespace anemone::cpu

// softmax along one axis.
#include "anemone/compute/softmax.h"

#include <fmt/format.h>

#include <algorithm>

#include "anemone/compute/copy.h"
#include "anemone/engine/cpu/lower/context.h"
#include "anemone/engine/cpu/lower/lowerings.h"

namespace anemone::cpu {
namespace {

struct SoftmaxCall {
  compute::SoftmaxPlan plan;
  Operand in, out;

  void run(const Frame& frame) const {
    compute::run(frame.pool, plan, frame.at(in), frame.at(out));
  }
};

std::string lower_softmax(LowerContext& context, Step& step) {
  const mil::Value x = context.argument("x");
  const mil::Value result = context.op().results.front();
  if (!compute::copy_supports(context.dtype(x), DType::fp32))
    return std::string(dtype_name(context.dtype(x))) + " is not converted to fp32";
  const mil::OpContext op = context.op_context();
  compute::SoftmaxSpec spec;
  spec.shape = context.shape(x);
  spec.axis = op.axis(op.def().find_param("axis"), spec.shape.rank());
  spec.in_type = context.dtype(x);
  spec.in_strides = context.layout(x).strides;
  spec.out_type = context.dtype(result);
  spec.out_strides = context.layout(result).strides;
  SoftmaxCall call{compute::plan_softmax(spec, context.features()), context.read(x, step),
                   context.write(result, step)};
  context.allow_in_place(x, result, step);
  step.implementation =
      fmt::format("softmax {} {} rows of {}{}", call.plan.kernel->name,
                  spec.shape.elements() / std::max<std::int64_t>(1, call.plan.length),
                  call.plan.length, call.plan.by_columns ? ", side by side" : "");
  step.call = Call(std::move(call));
  return {};
}

constexpr Alternative kSoftmaxList[] = {{"softmax", lower_softmax}};

}  // namespace

const std::span<const Alternative> kSoftmaxAlternatives = kSoftmaxList;

}  // namespace anemone::cpu

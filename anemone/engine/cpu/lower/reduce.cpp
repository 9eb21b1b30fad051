// Sums, means and extrema over axes, and logarithms of sums of exponentials.
#include "anemone/compute/reduce.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/compute/log_sum_exp.h"
#include "anemone/engine/cpu/lower/context.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/engine/cpu/lower/math_rules.h"

namespace anemone::cpu {
namespace {

template <class Plan>
struct ReduceCall {
  Plan plan;
  Operand in, out;

  void run(const Frame& frame) const {
    compute::run(frame.pool, plan, frame.workspace, frame.at(in), frame.at(out));
  }
};

std::uint32_t reduced_axes(const mil::OpContext& op) {
  const int rank = op.shape(0).rank();
  const int axes = op.def().find_param("axes");
  std::uint32_t bits = 0;
  if (!op.has(axes)) {
    for (int axis = 0; axis < rank; ++axis) bits |= 1u << static_cast<unsigned>(axis);
  }
  for (const std::int64_t axis : op.integers(axes))
    bits |= 1u << static_cast<unsigned>(normalize_axis(axis, rank).value_or(0));
  return bits;
}

// The result's strides, one per axis of the input.
Strides result_strides(const Layout& result, int rank, std::uint32_t axes, bool keep_dims) {
  if (keep_dims) return result.strides;
  Strides strides{};
  std::size_t kept = 0;
  for (int axis = 0; axis < rank; ++axis) {
    if (((axes >> static_cast<unsigned>(axis)) & 1u) == 0)
      strides[static_cast<std::size_t>(axis)] = result.strides[kept++];
  }
  return strides;
}

// What is reduced, and where; or why it is not done in fp32.
std::string describe(LowerContext& context, compute::ReduceSpec& spec) {
  const mil::Value x = context.argument("x");
  const mil::Value result = context.op().results.front();
  if (!is_float(context.dtype(x)) || context.dtype(x) == DType::fp64)
    return std::string(dtype_name(context.dtype(x))) + " is not summed in fp32";
  const mil::OpContext op = context.op_context();
  spec.shape = context.shape(x);
  spec.axes = reduced_axes(op);
  spec.in_type = context.dtype(x);
  spec.in_strides = context.layout(x).strides;
  spec.out_type = context.dtype(result);
  spec.out_strides = result_strides(context.layout(result), spec.shape.rank(), spec.axes,
                                    op.boolean(op.def().find_param("keep_dims")));
  return {};
}

template <class Plan>
void take(LowerContext& context, Step& step, Plan plan, const compute::ReducePlan& walk,
          const char* sums) {
  step.workspace_bytes = plan.workspace_bytes();
  step.implementation = fmt::format("reduce {} {} {} of {}{}", walk.kernel->name, walk.outputs,
                                    sums, walk.count, walk.by_columns ? ", side by side" : "");
  const Operand in = context.read(context.argument("x"), step);
  const Operand out = context.write(context.op().results.front(), step);
  step.call = Call(ReduceCall<Plan>{std::move(plan), in, out});
}

template <compute::ReduceOp kOp>
std::string lower_reduce(LowerContext& context, Step& step) {
  compute::ReduceSpec spec;
  spec.op = kOp;
  if (std::string refusal = describe(context, spec); !refusal.empty()) return refusal;
  const compute::ReducePlan plan = compute::plan_reduce(spec, context.features());
  take(context, step, plan, plan, "sums");
  return {};
}

std::string lower_log_sum_exp(LowerContext& context, Step& step) {
  compute::ReduceSpec spec;
  if (std::string refusal = describe(context, spec); !refusal.empty()) return refusal;
  const compute::LogSumExpPlan plan = compute::plan_log_sum_exp(spec, context.features());
  take(context, step, plan, plan.walk, "sums of exponentials");
  return {};
}

// A group of fusion/reduction.cpp: arithmetic on elements, and a reduction of its result.
struct ProgramReduceCall {
  compute::ReducePlan plan;
  std::vector<Operand> inputs;
  Operand out;

  void run(const Frame& frame) const {
    std::array<const void*, compute::ElementwisePlan::kMaxSlots> in;
    for (std::size_t i = 0; i < inputs.size(); ++i) in[i] = frame.at(inputs[i]);
    compute::run_program(frame.pool, plan, frame.workspace, std::span(in.data(), inputs.size()),
                         frame.at(out));
  }
};

compute::ReduceOp reduce_op(mil::OpKind kind) {
  if (kind == mil::OpKind::reduce_mean) return compute::ReduceOp::mean;
  return kind == mil::OpKind::reduce_max ? compute::ReduceOp::max : compute::ReduceOp::sum;
}

std::string lower_program_reduce(LowerContext& context, Step& step) {
  const std::vector<int>& ops = context.group().ops;
  const mil::OpContext op = context.op_context(ops.size() - 1);
  const mil::Value x = context.argument("x", ops.size() - 1);
  const mil::Value result = op.operation().results.front();
  const auto program =
      math_program(context.function(), std::span(ops).first(ops.size() - 1), {&x, 1});
  ANEMONE_CHECK(program.has_value(), "the fusion has tried the program");

  compute::ReduceSpec spec;
  spec.op = reduce_op(op.operation().kind);
  spec.shape = context.shape(x);
  spec.axes = reduced_axes(op);
  spec.out_type = context.dtype(result);
  spec.out_strides = result_strides(context.layout(result), spec.shape.rank(), spec.axes,
                                    op.boolean(op.def().find_param("keep_dims")));
  compute::ElementwiseSpec& operand = spec.program.emplace();
  operand.shape = spec.shape;
  operand.steps = program->steps;
  operand.outputs = {{DType::fp32, contiguous_strides(spec.shape), program->outputs.front()}};
  ProgramReduceCall call;
  for (const mil::Value value : program->inputs) {
    operand.inputs.push_back(
        {context.dtype(value), broadcast_strides(context.layout(value), spec.shape)});
    call.inputs.push_back(context.read(value, step));
  }
  call.out = context.write(result, step);
  call.plan = compute::plan_reduce(spec, context.features());
  step.workspace_bytes = call.plan.workspace_bytes();
  step.implementation =
      fmt::format("reduce {} {} sums of {}{}, each of {} in, {} steps", call.plan.kernel->name,
                  call.plan.outputs, call.plan.count, call.plan.by_columns ? ", side by side" : "",
                  operand.inputs.size(), operand.steps.size());
  step.call = Call(std::move(call));
  return {};
}

constexpr Alternative kProgram[] = {{"reduce", lower_program_reduce}};
constexpr Alternative kSum[] = {{"reduce", lower_reduce<compute::ReduceOp::sum>}};
constexpr Alternative kMean[] = {{"reduce", lower_reduce<compute::ReduceOp::mean>}};
constexpr Alternative kMax[] = {{"reduce", lower_reduce<compute::ReduceOp::max>}};
constexpr Alternative kLogSumExp[] = {{"reduce", lower_log_sum_exp}};

}  // namespace

const std::span<const Alternative> kReductionAlternatives = kProgram;
const std::span<const Alternative> kReduceSumAlternatives = kSum;
const std::span<const Alternative> kReduceMeanAlternatives = kMean;
const std::span<const Alternative> kReduceMaxAlternatives = kMax;
const std::span<const Alternative> kLogSumExpAlternatives = kLogSumExp;

}  // namespace anemone::cpu

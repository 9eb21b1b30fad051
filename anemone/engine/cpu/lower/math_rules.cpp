// The rules of arithmetic operations, and slots for their registers.
#include "anemone/engine/cpu/lower/math_rules.h"

#include <algorithm>
#include <limits>

#include "anemone/base/error.h"
#include "anemone/compute/copy.h"
#include "anemone/engine/cpu/lower/op_table.h"

namespace anemone::cpu {
namespace {

using compute::ElementwiseOp;
using compute::ElementwisePlan;
using mil::OpContext;

mil::Value argument(const OpContext& op, int param) {
  return op.operation().arguments[static_cast<std::size_t>(param)].front();
}

// An operation on two tensors, with what to use where one of them is a single number.
struct Binary {
  ElementwiseOp both;
  std::optional<ElementwiseOp> number_right, number_left;
};

int append_binary(MathProgram& program, const OpContext& op, const Binary& rule) {
  const mil::Value x = argument(op, 0), y = argument(op, 1);
  const std::optional<float> left = program.number(x), right = program.number(y);
  if (right.has_value() && rule.number_right.has_value())
    return program.step(*rule.number_right, program.value(x), -1, -1, *right);
  if (left.has_value() && rule.number_left.has_value())
    return program.step(*rule.number_left, program.value(y), -1, -1, *left);
  return program.step(rule.both, program.value(x), program.value(y));
}

int append_sub(MathProgram& program, const OpContext& op) {
  const std::optional<float> right = program.number(argument(op, 1));
  if (right.has_value())
    return program.step(ElementwiseOp::add_imm, program.value(argument(op, 0)), -1, -1, -*right);
  return append_binary(program, op, {ElementwiseOp::sub, {}, ElementwiseOp::rsub_imm});
}

int append_mul(MathProgram& program, const OpContext& op) {
  if (argument(op, 0) == argument(op, 1))
    return program.step(ElementwiseOp::square, program.value(argument(op, 0)));
  return append_binary(program, op,
                       {ElementwiseOp::mul, ElementwiseOp::mul_imm, ElementwiseOp::mul_imm});
}

template <ElementwiseOp kOp>
int append_unary(MathProgram& program, const OpContext& op) {
  return program.step(kOp, program.value(argument(op, 0)));
}

template <ElementwiseOp kBoth, ElementwiseOp kRight, ElementwiseOp kLeft>
int append_pair(MathProgram& program, const OpContext& op) {
  return append_binary(program, op, {kBoth, kRight, kLeft});
}

int append_pow(MathProgram& program, const OpContext& op) {
  return append_binary(program, op, {ElementwiseOp::pow, ElementwiseOp::pow_imm, {}});
}

int append_rsqrt(MathProgram& program, const OpContext& op) {
  const auto epsilon = static_cast<float>(op.number(op.def().find_param("epsilon")));
  return program.step(ElementwiseOp::rsqrt, program.value(argument(op, 0)), -1, -1, epsilon);
}

// Slots hold fp32; loading and storing converts.
int append_cast(MathProgram& program, const OpContext& op) {
  return program.value(argument(op, 0));
}

int append_select(MathProgram& program, const OpContext& op) {
  const int cond = program.value(argument(op, 0));
  const int a = program.value(argument(op, 1));
  return program.step(ElementwiseOp::select, cond, a, program.value(argument(op, 2)));
}

// The step after which each register is no longer needed.
constexpr int kForever = std::numeric_limits<int>::max();

}  // namespace

const MathRule kAdd = {
    append_pair<ElementwiseOp::add, ElementwiseOp::add_imm, ElementwiseOp::add_imm>};
const MathRule kSub = {append_sub};
const MathRule kMul = {append_mul};
const MathRule kRealDiv = {
    append_pair<ElementwiseOp::div, ElementwiseOp::div_imm, ElementwiseOp::rdiv_imm>};
const MathRule kMaximum = {
    append_pair<ElementwiseOp::max, ElementwiseOp::max_imm, ElementwiseOp::max_imm>};
const MathRule kPow = {append_pow};
const MathRule kSqrt = {append_unary<ElementwiseOp::sqrt>};
const MathRule kRsqrt = {append_rsqrt};
const MathRule kExp = {append_unary<ElementwiseOp::exp>};
const MathRule kSigmoid = {append_unary<ElementwiseOp::sigmoid>};
const MathRule kSilu = {append_unary<ElementwiseOp::silu>};
const MathRule kTanh = {append_unary<ElementwiseOp::tanh>};
const MathRule kCast = {append_cast, /*converts=*/true};
const MathRule kSelect = {append_select};

std::optional<float> MathProgram::number(mil::Value value) const {
  const mil::Constant* constant = function_.constant(value);
  if (constant == nullptr || !constant->has_bytes()) return std::nullopt;
  if (constant->type().shape.elements() != 1) return std::nullopt;
  return static_cast<float>(constant->number());
}

int MathProgram::value(mil::Value value) {
  const auto [entry, is_new] = registers_.try_emplace(value.index, next_);
  if (is_new) {
    ++next_;
    inputs_.push_back(value);
    input_registers_.push_back(entry->second);
  }
  return entry->second;
}

int MathProgram::step(ElementwiseOp op, int a, int b, int c, float immediate) {
  instructions_.push_back({op, next_, a, b, c, immediate});
  return next_++;
}

std::optional<MathProgram::Slots> MathProgram::assign_slots(
    std::span<const mil::Value> outputs) const {
  constexpr auto kMaxSlots = static_cast<std::size_t>(ElementwisePlan::kMaxSlots);
  std::vector<int> last_use(static_cast<std::size_t>(next_), -1);
  for (std::size_t i = 0; i < instructions_.size(); ++i) {
    for (const int source : {instructions_[i].a, instructions_[i].b, instructions_[i].c}) {
      if (source >= 0) last_use[static_cast<std::size_t>(source)] = static_cast<int>(i);
    }
  }
  for (const mil::Value output : outputs)
    last_use[static_cast<std::size_t>(registers_.at(output.index))] = kForever;

  if (inputs_.size() > kMaxSlots) return std::nullopt;
  std::vector<int> slot_of(static_cast<std::size_t>(next_), -1);
  std::vector<int> holder;  // the register in each slot; -1: free
  for (const int reg : input_registers_) {
    slot_of[static_cast<std::size_t>(reg)] = static_cast<int>(holder.size());
    holder.push_back(reg);
  }
  Slots result;
  result.inputs = inputs_;
  for (std::size_t i = 0; i < instructions_.size(); ++i) {
    const Instruction& in = instructions_[i];
    // Sources that end here may give their slot to the result: each element is read first.
    std::size_t slot = 0;
    while (slot < holder.size() && holder[slot] >= 0 &&
           last_use[static_cast<std::size_t>(holder[slot])] > static_cast<int>(i))
      ++slot;
    if (slot == kMaxSlots) return std::nullopt;
    if (slot == holder.size()) holder.push_back(-1);
    const auto slot_or_0 = [&](int reg) {
      return static_cast<std::uint8_t>(reg < 0 ? 0 : slot_of[static_cast<std::size_t>(reg)]);
    };
    result.steps.push_back({in.op, static_cast<std::uint8_t>(slot), slot_or_0(in.a),
                            slot_or_0(in.b), slot_or_0(in.c), in.immediate});
    holder[slot] = in.dst;
    slot_of[static_cast<std::size_t>(in.dst)] = static_cast<int>(slot);
  }
  for (const mil::Value output : outputs) {
    const int reg = registers_.at(output.index);
    result.outputs.push_back(static_cast<std::uint8_t>(slot_of[static_cast<std::size_t>(reg)]));
  }
  return result;
}

std::string math_refusal(const mil::Function& function, const mil::Operation& op) {
  const mil::Type& result = function.type(op.results.front());
  const mil::OpDef& def = mil::op_def(op.kind);
  const bool converts = op_row(op.kind).math->converts;
  for (std::size_t i = 0; i < op.arguments.size(); ++i) {
    if (def.params[i].role == mil::ParamRole::constant) continue;
    for (const mil::Value value : op.arguments[i]) {
      const DType type = function.type(value).dtype;
      if (!compute::copy_supports(type, DType::fp32))
        return std::string(dtype_name(type)) + " is not converted to fp32";
      const bool exact = is_float(type) || type == DType::boolean;
      if (!exact && !(converts && (is_float(result.dtype) || type != DType::int32)))
        return std::string(dtype_name(type)) + " is not computed in fp32";
    }
  }
  if (!compute::copy_supports(DType::fp32, result.dtype))
    return std::string("fp32 is not converted to ") + dtype_name(result.dtype);
  return {};
}

std::optional<MathProgram::Slots> math_program(const mil::Function& function,
                                               std::span<const int> ops,
                                               std::span<const mil::Value> outputs) {
  MathProgram program(function);
  for (const int index : ops) {
    const mil::Operation& op = function.ops[static_cast<std::size_t>(index)];
    const OpContext context(mil::op_def(op.kind), function, op);
    program.define(op.results.front(), op_row(op.kind).math->append(program, context));
  }
  return program.assign_slots(outputs);
}

}  // namespace anemone::cpu

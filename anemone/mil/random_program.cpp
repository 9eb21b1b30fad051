// The random program generator: drawing, and evaluating what was drawn.
#include "anemone/mil/random_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "anemone/base/element.h"
#include "anemone/base/error.h"

namespace anemone::mil {
namespace {

constexpr double kUsualLow = -2, kUsualHigh = 2;
constexpr std::int64_t kMostGrowingElements = 2000;  // of a value that may grow further

// Operations on floats that engines may round differently. Casts are not among them: they give the
// nearest number.
bool computes(const OpDef& def) { return def.tolerance.sums > 0; }

}  // namespace

RandomProgram::RandomProgram(std::uint64_t seed, const Options& options)
    : options_(options), engine_(seed), builder_(program_) {}

std::int64_t RandomProgram::integer(std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
}

double RandomProgram::real(double low, double high) {
  constexpr int kBits = 53;
  const double unit = std::ldexp(static_cast<double>(engine_() >> (64 - kBits)), -kBits);
  return low + (high - low) * unit;
}

bool RandomProgram::chance(double probability) { return real(0, 1) < probability; }

DType RandomProgram::float_type() {
  std::vector<DType> types;
  for (const DType type : {DType::fp16, DType::fp32}) {
    if (options_.floats.contains(type)) types.push_back(type);
  }
  return types[static_cast<std::size_t>(integer(0, static_cast<std::int64_t>(types.size()) - 1))];
}

Shape RandomProgram::shape(int min_rank, int max_rank) {
  Shape shape;
  const std::int64_t rank = integer(min_rank, max_rank);
  for (std::int64_t i = 0; i < rank; ++i) {
    shape.push_back(chance(0.2) ? 1 : integer(1, options_.max_dim));
  }
  return shape;
}

std::vector<std::int64_t> RandomProgram::permutation(int rank) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1],
              order[static_cast<std::size_t>(integer(0, static_cast<std::int64_t>(i) - 1))]);
  }
  return order;
}

std::vector<std::int64_t> RandomProgram::subset(int rank) {
  std::vector<std::int64_t> axes = permutation(rank);
  axes.resize(static_cast<std::size_t>(integer(rank > 0 ? 1 : 0, rank)));
  for (std::int64_t& axis : axes) {
    if (chance(0.3)) axis -= rank;
  }
  return axes;
}

double RandomProgram::low(Value value) const {
  const auto& data = facts_[at(value)].data;
  return data.empty() ? 0 : *std::min_element(data.begin(), data.end());
}

double RandomProgram::high(Value value) const {
  const auto& data = facts_[at(value)].data;
  return data.empty() ? 0 : *std::max_element(data.begin(), data.end());
}

bool RandomProgram::fits(Value value, TypeSet types, int min_rank, int max_rank, double lowest,
                         double highest) const {
  const Facts& facts = facts_[at(value)];
  const Type& t = type(value);
  return facts.reusable && types.contains(t.dtype) && t.shape.rank() >= min_rank &&
         t.shape.rank() <= max_rank && low(value) >= lowest && high(value) <= highest;
}

Value RandomProgram::value(TypeSet types, int min_rank, int max_rank, double lowest,
                           double highest) {
  std::vector<Value> candidates;
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    const Value candidate{static_cast<std::int32_t>(i)};
    if (fits(candidate, types, min_rank, max_rank, lowest, highest))
      candidates.push_back(candidate);
  }
  if (!candidates.empty() && chance(0.8)) {
    // The latest are preferred, so that programs grow deep.
    const auto last = static_cast<std::int64_t>(candidates.size()) - 1;
    return candidates[static_cast<std::size_t>(std::max(integer(0, last), integer(0, last)))];
  }
  DType dtype = float_type();
  if (!types.contains(dtype) || chance(0.15)) {
    std::vector<DType> others;
    for (const DType other : {DType::int32, DType::boolean}) {
      if (types.contains(other)) others.push_back(other);
    }
    if (!others.empty()) {
      dtype = others[static_cast<std::size_t>(
          integer(0, static_cast<std::int64_t>(others.size()) - 1))];
    }
  }
  return fresh(Type::tensor(dtype, shape(min_rank, max_rank)), lowest, highest);
}

Value RandomProgram::value_of(const Type& wanted, double lowest, double highest) {
  const int rank = wanted.shape.rank();
  for (std::size_t i = facts_.size(); i-- > 0;) {
    const Value candidate{static_cast<std::int32_t>(i)};
    if (type(candidate) == wanted && chance(0.5) &&
        fits(candidate, {wanted.dtype}, rank, rank, lowest, highest)) {
      return candidate;
    }
  }
  return fresh(wanted, lowest, highest);
}

Value RandomProgram::partner(Value other, double lowest, double highest) {
  Shape shape = shape_of(other);
  if (chance(0.5)) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (chance(0.4)) shape[axis] = 1;
    }
    while (shape.rank() > 0 && chance(0.3)) shape.erase(0);
  }
  return value_of(Type::tensor(type(other).dtype, shape), lowest, highest);
}

Value RandomProgram::fresh(const Type& wanted, double lowest, double highest) {
  double from = std::max(lowest, kUsualLow), to = std::min(highest, kUsualHigh);
  if (from > to) from = lowest, to = highest;
  std::vector<double> data(static_cast<std::size_t>(wanted.shape.elements()));
  for (double& number : data) {
    if (wanted.dtype == DType::boolean) {
      number = chance(0.5) ? 1 : 0;
    } else if (is_float(wanted.dtype)) {
      number = real(from, to);
    } else {
      number = static_cast<double>(integer(static_cast<std::int64_t>(std::ceil(from)),
                                           static_cast<std::int64_t>(std::floor(to))));
    }
  }
  round_all_to(wanted.dtype, data);
  if (chance(0.4)) {
    const Value constant =
        builder_.constant(Constant::numbers(wanted.dtype, wanted.shape, data), "c");
    evaluate_new_ops();
    facts_[at(constant)].reusable = true;
    return constant;
  }
  const std::string name = fmt::format("in_{}", builder_.function().inputs.size());
  const Value input = builder_.input(name, wanted);
  facts_.resize(at(input) + 1);
  facts_[at(input)].data = data;
  inputs_[name] = std::move(data);
  return input;
}

bool RandomProgram::emit(OpKind kind, std::vector<Builder::Argument> arguments) {
  const std::vector<Value> results = builder_.emit_all(kind, arguments);
  evaluate_new_ops();
  for (const Value result : results) settle(result);
  return true;
}

void RandomProgram::evaluate_new_ops() {
  const Function& function = builder_.function();
  facts_.resize(function.values.size());
  for (; evaluated_ < function.ops.size(); ++evaluated_) evaluate_one(function.ops[evaluated_]);
}

void RandomProgram::evaluate_one(const Operation& op) {
  const Function& function = builder_.function();
  if (op.kind == OpKind::const_) {
    Facts& facts = facts_[at(op.results[0])];
    if (op.constant->has_bytes()) facts.data = op.constant->all_numbers();
    facts.reusable = false;  // fresh says otherwise: emit makes constants for plain parameters too
    return;
  }
  std::vector<std::vector<EvalTensor<const double>>> inputs(op.arguments.size());
  bool exact = true, floats = false;
  for (std::size_t p = 0; p < op.arguments.size(); ++p) {
    for (const Value value : op.arguments[p]) {
      inputs[p].push_back({function.type(value).shape, facts_[at(value)].data});
      exact = exact && facts_[at(value)].exact;
      floats = floats || is_float(function.type(value).dtype);
      facts_[at(value)].used = true;
    }
  }
  std::vector<EvalTensor<double>> outputs;
  for (const Value result : op.results) {
    Facts& facts = facts_[at(result)];
    facts.exact = exact && !(floats && computes(op_def(op.kind)));
    facts.data.resize(static_cast<std::size_t>(function.type(result).shape.elements()));
    outputs.push_back({function.type(result).shape, facts.data});
  }
  evaluate_op<double>(function, op, inputs, outputs);
  for (const Value result : op.results) {
    round_all_to(function.type(result).dtype, facts_[at(result)].data);
  }
}

void RandomProgram::settle(Value result) {
  Facts& facts = facts_[at(result)];
  for (const double number : facts.data) {
    ANEMONE_CHECK(std::isfinite(number), "random programs compute with finite numbers");
  }
  const double largest = std::max(high(result), -low(result));
  if (static_cast<std::int64_t>(facts.data.size()) > kMostGrowingElements || facts.data.empty() ||
      shape_of(result).rank() > 5) {
    facts.reusable = false;
    return;
  }
  if (largest <= kLimit) return;
  facts.reusable = false;
  if (!is_float(type(result).dtype)) return;
  const double scale = std::exp2(-std::ceil(std::log2(largest)));
  emit(OpKind::mul, {{"x", result}, {"y", scale}});
}

bool RandomProgram::grow(OpKind kind) {
  const OpDef& def = op_def(kind);
  return def.sample != nullptr && def.sample(*this);
}

void RandomProgram::grow() {
  const auto ops = all_ops();
  for (int grown = 0; grown < options_.ops;) {
    const auto index = integer(0, static_cast<std::int64_t>(ops.size()) - 1);
    if (grow(ops[static_cast<std::size_t>(index)]->kind)) ++grown;
  }
}

Program RandomProgram::finish() {
  const std::size_t count = facts_.size();
  int outputs = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Value value{static_cast<std::int32_t>(i)};
    const Operation* op = builder_.function().definition(value);
    const bool computed = op != nullptr && op->kind != OpKind::const_;
    if (computed && (!facts_[i].used || chance(0.1))) {
      builder_.output(value, fmt::format("out_{}", outputs++));
    }
  }
  return std::move(program_);
}

}  // namespace anemone::mil

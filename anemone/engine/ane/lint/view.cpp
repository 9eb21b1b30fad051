// Bringing known and unknown operations into one form.
#include "anemone/engine/ane/lint/view.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/mil/op_def.h"

namespace anemone::engine::ane::lint {

using mil::Constant;
using mil::ConstantSource;
using mil::SourceLocation;
using mil::Value;

namespace {

// Sizes in bytes and counts of operations stay far from the end of 64 bits.
constexpr std::int64_t kMostElements = std::int64_t{1} << 48;

// In pieces, since constants can be large.
ConstantFacts facts_of(const mil::Type& type, std::span<const std::byte> bytes) {
  const std::size_t size = dtype_size(type.dtype);
  const std::size_t count = size == 0 ? 0 : bytes.size() / size;
  const auto rows = type.shape.rank() > 0 ? static_cast<std::size_t>(type.shape[0]) : 1;
  const std::size_t row = rows > 0 ? std::max<std::size_t>(count / rows, 1) : 1;
  ConstantFacts facts;
  facts.count = static_cast<std::int64_t>(count);
  std::array<double, 1024> piece;
  double sum = 0;
  for (std::size_t begin = 0; begin < count; begin += piece.size()) {
    const std::size_t length = std::min(piece.size(), count - begin);
    load_elements(type.dtype, bytes.data() + begin * size, {piece.data(), length});
    for (std::size_t i = 0; i < length; ++i) {
      const double value = piece[i], magnitude = std::abs(value);
      const bool first = begin + i == 0;
      facts.low = first ? value : std::min(facts.low, value);
      facts.high = first ? value : std::max(facts.high, value);
      facts.nonzero += magnitude > 0;
      facts.subnormal += magnitude > 0 && magnitude < kSmallestNormal;
      facts.nans += std::isnan(value);
      sum = ((begin + i) % row == 0 ? 0 : sum) + magnitude;
      facts.largest_row = std::max(facts.largest_row, sum);
    }
  }
  return facts;
}

bool before(SourceLocation a, SourceLocation b) {
  return a.line != b.line ? a.line < b.line : a.column < b.column;
}

}  // namespace

const OpView::Argument* OpView::argument(std::string_view param) const {
  const auto found = std::find_if(arguments_.begin(), arguments_.end(),
                                  [&](const Argument& a) { return a.name == param; });
  return found == arguments_.end() ? nullptr : &*found;
}

Value OpView::value(std::string_view param) const {
  const Argument* given = argument(param);
  return given == nullptr || given->values.empty() ? Value{} : given->values.front();
}

std::vector<Value> OpView::operands() const {
  std::vector<Value> values;
  for (const Argument& given : arguments_) {
    for (const Value value : given.values) {
      if (value.valid() && !function_->is_constant(value)) values.push_back(value);
    }
  }
  return values;
}

const Shape* OpView::shape(std::string_view param) const { return function_->shape(value(param)); }

std::optional<DType> OpView::dtype(std::string_view param) const {
  return function_->dtype(value(param));
}

const Constant* OpView::constant(std::string_view param) const {
  const Value given = value(param);
  return given.valid() ? function_->function().constant(given) : nullptr;
}

bool OpView::is_computed(std::string_view param) const {
  const Value given = value(param);
  return given.valid() && !function_->is_constant(given);
}

std::optional<double> OpView::number(std::string_view param) const {
  const Constant* given = constant(param);
  if (given == nullptr || !given->has_bytes()) return std::nullopt;
  const auto elements = given->type().shape.checked_elements();
  return elements == 1 ? std::optional(given->number()) : std::nullopt;
}

std::vector<std::int64_t> OpView::integers(std::string_view param) const {
  const Constant* given = constant(param);
  if (given == nullptr || !given->has_bytes()) return {};
  std::vector<std::int64_t> integers;
  for (const double number : given->all_numbers()) {
    integers.push_back(static_cast<std::int64_t>(number));
  }
  return integers;
}

const Shape* OpView::result_shape(std::size_t index) const {
  return index < results_.size() ? function_->shape(results_[index]) : nullptr;
}

std::optional<DType> OpView::result_dtype(std::size_t index) const {
  return index < results_.size() ? function_->dtype(results_[index]) : std::nullopt;
}

std::string_view OpView::result_name() const {
  return results_.empty() ? std::string_view() : function_->function().name_of(results_[0]);
}

FunctionView::FunctionView(const mil::Program& program, const mil::Function& function,
                           const Target& target, mil::ConstantSource* constants)
    : program_(program), function_(function), target_(target), constants_(constants) {
  auto unknown = function.unknown_ops.begin();
  for (const mil::Operation& op : function.ops) {
    while (unknown != function.unknown_ops.end() && before(unknown->location, op.location)) {
      add_unknown(*unknown++);
    }
    if (op.kind != mil::OpKind::const_) add_known(op);
  }
  while (unknown != function.unknown_ops.end()) add_unknown(*unknown++);
  finish();
}

void FunctionView::add_known(const mil::Operation& op) {
  const mil::OpDef& def = mil::op_def(op.kind);
  OpView view;
  view.name_ = def.name;
  view.location_ = op.location;
  view.results_ = op.results;
  for (std::size_t i = 0; i < op.arguments.size() && i < def.params.size(); ++i) {
    if (op.arguments[i].empty()) continue;
    OpView::Argument argument{def.params[i].name, op.arguments[i], false};
    for (const Value value : op.arguments[i]) {
      const mil::Operation* source = function_.definition(value);
      argument.in_place |= source != nullptr && source->immediate;
    }
    view.arguments_.push_back(std::move(argument));
  }
  ops_.push_back(std::move(view));
}

void FunctionView::add_unknown(const mil::UnknownOperation& op) {
  OpView view;
  view.name_ = op.name;
  view.location_ = op.location;
  view.results_ = op.results;
  view.known_ = false;
  for (const auto& given : op.arguments) {
    OpView::Argument argument{given.name, given.values, false};
    for (const Value value : given.values) argument.in_place |= !value.valid();
    view.arguments_.push_back(std::move(argument));
  }
  ops_.push_back(std::move(view));
}

void FunctionView::finish() {
  producers_.assign(function_.values.size(), -1);
  readers_.resize(function_.values.size());
  for (std::size_t i = 0; i < function_.values.size(); ++i) {
    origins_.push_back({static_cast<std::int32_t>(i)});
  }
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    OpView& op = ops_[i];
    op.function_ = this;
    op.index_ = i;
    const auto number = static_cast<std::int32_t>(i);
    for (const Value result : op.results_) {
      if (!result.valid()) continue;
      producers_[static_cast<std::size_t>(result.index)] = number;
      const Value source = moves_only(op) || op.is("cast") ? op.value("x") : Value{};
      if (source.valid()) origins_[static_cast<std::size_t>(result.index)] = origin(source);
    }
    for (const auto& argument : op.arguments_) {
      for (const Value value : argument.values) {
        if (!value.valid()) continue;
        auto& readers = readers_[static_cast<std::size_t>(value.index)];
        if (readers.empty() || readers.back() != number) readers.push_back(number);
      }
    }
  }
}

bool FunctionView::contains(std::string_view name) const {
  return std::any_of(ops_.begin(), ops_.end(), [&](const OpView& op) { return op.is(name); });
}

const OpView* FunctionView::producer(Value value) const {
  if (!value.valid()) return nullptr;
  const std::int32_t op = producers_[static_cast<std::size_t>(value.index)];
  return op < 0 ? nullptr : &ops_[static_cast<std::size_t>(op)];
}

Value FunctionView::origin(Value value) const {
  return value.valid() ? origins_[static_cast<std::size_t>(value.index)] : value;
}

std::vector<const OpView*> FunctionView::readers(Value value) const {
  std::vector<const OpView*> found;
  if (!value.valid()) return found;
  for (const std::int32_t op : readers_[static_cast<std::size_t>(value.index)]) {
    found.push_back(&ops_[static_cast<std::size_t>(op)]);
  }
  return found;
}

bool FunctionView::is_input(Value value) const {
  return std::find(function_.inputs.begin(), function_.inputs.end(), value) !=
         function_.inputs.end();
}

bool FunctionView::is_output(Value value) const {
  return std::find(function_.outputs.begin(), function_.outputs.end(), value) !=
         function_.outputs.end();
}

const Shape* FunctionView::shape(Value value) const {
  if (!value.valid()) return nullptr;
  const mil::Type& type = function_.type(value);
  if (!type.is_tensor()) return nullptr;
  const auto elements = type.shape.checked_elements();
  return elements && *elements < kMostElements ? &type.shape : nullptr;
}

std::optional<DType> FunctionView::dtype(Value value) const {
  if (!value.valid() || !function_.type(value).is_tensor()) return std::nullopt;
  return function_.type(value).dtype;
}

double FunctionView::bytes(Value value) const {
  const Shape* fixed = shape(value);
  if (fixed == nullptr) return 0;
  return static_cast<double>(fixed->elements()) * static_cast<double>(dtype_size(*dtype(value)));
}

const ConstantFacts* FunctionView::facts(const Constant& constant, std::string* problem) const {
  const auto [place, added] = facts_.try_emplace(&constant);
  Known& known = place->second;
  const bool readable = constant.has_bytes() || (!constant.has_strings() && constants_ != nullptr);
  if (added && readable) {
    try {
      std::vector<std::byte> scratch;
      ConstantSource here;
      known.facts = facts_of(constant.type(),
                             (constants_ == nullptr ? here : *constants_).bytes(constant, scratch));
    } catch (const Error& error) {
      known.problem = error.what();
    }
  }
  if (problem != nullptr) *problem = known.problem;
  return known.facts ? &*known.facts : nullptr;
}

bool moves_only(const OpView& op) {
  return op.is_any("reshape", "transpose", "slice_by_size", "slice_by_index", "split", "squeeze",
                   "expand_dims", "tile", "identity", "reverse");
}

std::optional<std::int64_t> contraction(const OpView& matmul) {
  const Shape* shape = matmul.shape("x");
  if (shape == nullptr || shape->rank() == 0) return std::nullopt;
  const bool transposed = matmul.number("transpose_x").value_or(0) != 0 && shape->rank() > 1;
  return axis_from_back(*shape, transposed ? 2 : 1);
}

std::optional<std::int64_t> axis_from_back(const Shape& shape, int distance) {
  if (distance > shape.rank()) return std::nullopt;
  return shape[shape.rank() - distance];
}

}  // namespace anemone::engine::ane::lint

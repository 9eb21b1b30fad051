// The table of definitions, and the view of an operation that inference and evaluation have.
#include "anemone/mil/op_def.h"

#include <array>

#include "anemone/base/error.h"
#include "anemone/mil/ops/common.h"

namespace anemone::mil {
namespace {

constexpr std::array<const OpDef*, kOpCount> kOps = {
#define OP(name) &op_##name,
#include "anemone/mil/ops/ops.inc"
#undef OP
};

}  // namespace

const OpDef& op_def(OpKind kind) { return *kOps[static_cast<std::size_t>(kind)]; }

std::span<const OpDef* const> all_ops() { return kOps; }

int OpDef::find_param(std::string_view param) const {
  for (std::size_t i = 0; i < params.size(); ++i) {
    if (params[i].name == param) return static_cast<int>(i);
  }
  return -1;
}

std::string TypeSet::to_string() const {
  std::vector<std::string> names;
#define ANEMONE_APPEND(type, text, bytes) \
  if (contains(DType::type)) names.emplace_back(text);
  ANEMONE_DTYPES(ANEMONE_APPEND)
#undef ANEMONE_APPEND
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

bool OpContext::has(int param) const { return count(param) > 0; }

int OpContext::count(int param) const {
  const auto index = static_cast<std::size_t>(param);
  return index < op_.arguments.size() ? static_cast<int>(op_.arguments[index].size()) : 0;
}

const Type& OpContext::type(int param, int index) const {
  ANEMONE_CHECK(index < count(param), "an argument that was given");
  return function_.type(
      op_.arguments[static_cast<std::size_t>(param)][static_cast<std::size_t>(index)]);
}

const Constant* OpContext::constant(int param) const {
  if (!has(param)) return nullptr;
  const std::string name(def_.params[static_cast<std::size_t>(param)].name);
  const Constant* constant =
      function_.constant(op_.arguments[static_cast<std::size_t>(param)].front());
  if (constant == nullptr) throw Error(name + " must be a constant");
  if (!constant->has_bytes() && !constant->has_strings()) {
    throw Error(name + " must be written in the program, not in a file of weights");
  }
  return constant;
}

namespace {

// The constant of a parameter that takes one value.
const Constant* single(const OpContext& op, int param) {
  const Constant* constant = op.constant(param);
  if (constant == nullptr) return nullptr;
  const auto elements = constant->type().shape.checked_elements();
  if (elements != 1 || (constant->has_strings() && constant->strings().size() != 1)) {
    throw Error(std::string(op.def().params[static_cast<std::size_t>(param)].name) +
                " must be one value, not a " + constant->type().to_string());
  }
  return constant;
}

template <class T>
T default_of(const OpContext& op, int param) {
  const auto& value = op.def().params[static_cast<std::size_t>(param)].default_value;
  const T* held = std::get_if<T>(&value);
  ANEMONE_CHECK(held != nullptr, "a parameter with a default of this type");
  return *held;
}

}  // namespace

std::int64_t OpContext::integer(int param) const {
  const Constant* value = single(*this, param);
  return value != nullptr ? static_cast<std::int64_t>(value->number())
                          : default_of<std::int64_t>(*this, param);
}

bool OpContext::boolean(int param) const {
  const Constant* value = single(*this, param);
  return value != nullptr ? value->number() != 0 : default_of<bool>(*this, param);
}

double OpContext::number(int param) const {
  const Constant* value = single(*this, param);
  return value != nullptr ? value->number() : default_of<double>(*this, param);
}

std::string OpContext::string(int param) const {
  const Constant* value = single(*this, param);
  return value != nullptr ? value->strings().front()
                          : std::string(default_of<std::string_view>(*this, param));
}

std::vector<std::int64_t> OpContext::integers(int param) const {
  const Constant* value = constant(param);
  if (value == nullptr) return {};
  if (value->type().shape.rank() > 1) {
    throw Error(std::string(def_.params[static_cast<std::size_t>(param)].name) +
                " must be a list of integers, not a " + value->type().to_string());
  }
  const std::vector<double> numbers = value->all_numbers();
  std::vector<std::int64_t> integers(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    integers[i] = static_cast<std::int64_t>(numbers[i]);
  }
  return integers;
}

std::vector<std::int64_t> OpContext::integers_or(int param, int count_wanted,
                                                 std::int64_t fallback) const {
  if (!has(param)) {
    return std::vector<std::int64_t>(static_cast<std::size_t>(count_wanted), fallback);
  }
  std::vector<std::int64_t> values = integers(param);
  if (values.size() != static_cast<std::size_t>(count_wanted)) {
    throw Error(std::string(def_.params[static_cast<std::size_t>(param)].name) + " has " +
                std::to_string(values.size()) + " values where " + std::to_string(count_wanted) +
                " are needed");
  }
  return values;
}

int OpContext::axis(int param, int rank) const { return checked_axis(integer(param), rank); }

}  // namespace anemone::mil

// Making and reading constants.
#include "anemone/mil/constant.h"

#include <cstring>
#include <utility>

#include "anemone/base/element.h"
#include "anemone/base/error.h"

namespace anemone::mil {

Constant::Constant(Type type, std::vector<std::byte> bytes) : type_(std::move(type)) {
  ANEMONE_CHECK(type_.is_tensor() && type_.dtype != DType::string, "bytes make numbers");
  const auto count = static_cast<std::size_t>(type_.shape.elements());
  ANEMONE_CHECK(bytes.size() == count * dtype_size(type_.dtype), "as many bytes as the type has");
  value_ = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
}

Constant::Constant(Type type, Strings strings)
    : type_(std::move(type)), value_(std::move(strings)) {}

Constant::Constant(Type type, BlobRef ref) : type_(std::move(type)), value_(std::move(ref)) {}

Constant::Constant(Type type, WeightRef ref) : type_(std::move(type)), value_(std::move(ref)) {}

Constant Constant::scalar(DType dtype, double value) { return numbers(dtype, {}, {&value, 1}); }

Constant Constant::numbers(DType dtype, const Shape& shape, std::span<const double> values) {
  std::vector<std::byte> bytes(values.size() * dtype_size(dtype));
  store_elements(dtype, bytes.data(), values);
  return {Type::tensor(dtype, shape), std::move(bytes)};
}

Constant Constant::int32s(std::span<const std::int64_t> values) {
  const std::vector<double> numbers_of(values.begin(), values.end());
  return numbers(DType::int32, {static_cast<std::int64_t>(values.size())}, numbers_of);
}

Constant Constant::boolean(bool value) { return scalar(DType::boolean, value ? 1 : 0); }

Constant Constant::string(std::string value) {
  return {Type::tensor(DType::string), Strings{std::move(value)}};
}

std::span<const std::byte> Constant::bytes() const {
  ANEMONE_CHECK(has_bytes(), "a constant with bytes");
  const Bytes& held = std::get<Bytes>(value_);
  if (held == nullptr) return {};
  return *held;
}

const Constant::Strings& Constant::strings() const {
  ANEMONE_CHECK(has_strings(), "a constant of strings");
  return std::get<Strings>(value_);
}

double Constant::number(std::size_t index) const {
  const auto held = bytes();
  ANEMONE_CHECK(index < held.size() / dtype_size(type_.dtype), "an element of the constant");
  return load_element(type_.dtype, held.data(), index);
}

std::vector<double> Constant::all_numbers() const {
  const auto held = bytes();
  std::vector<double> values(held.size() / dtype_size(type_.dtype));
  load_elements(type_.dtype, held.data(), values);
  return values;
}

bool Constant::operator==(const Constant& other) const {
  if (!(type_ == other.type_) || value_.index() != other.value_.index()) return false;
  if (!has_bytes()) return value_ == other.value_;
  const auto mine = bytes(), theirs = other.bytes();
  return mine.size() == theirs.size() &&
         (mine.empty() || std::memcmp(mine.data(), theirs.data(), mine.size()) == 0);
}

}  // namespace anemone::mil

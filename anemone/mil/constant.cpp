// Making and reading constants.
#include "anemone/mil/constant.h"

#include <atomic>
#include <cstring>
#include <mutex>
#include <utility>

#include "anemone/base/element.h"
#include "anemone/base/error.h"

namespace anemone::mil {

class Constant::Triangle {
 public:
  Triangle(Type type, double above) : type_(std::move(type)), above_(above) {}

  double above() const { return above_; }
  bool is_made() const { return is_made_; }
  std::span<const std::byte> bytes() const {
    std::call_once(once_, [this] { make(); });
    return bytes_;
  }

 private:
  void make() const {
    const Shape& shape = type_.shape;
    const std::int64_t columns = shape[shape.rank() - 1], rows = shape[shape.rank() - 2];
    const std::size_t row_bytes = static_cast<std::size_t>(columns) * dtype_size(type_.dtype);
    std::vector<std::byte> bytes(static_cast<std::size_t>(shape.elements()) *
                                 dtype_size(type_.dtype));
    std::vector<double> numbers(static_cast<std::size_t>(columns));
    for (std::size_t at = 0, row = 0; at < bytes.size(); at += row_bytes, ++row) {
      const std::int64_t diagonal = static_cast<std::int64_t>(row) % rows;
      for (std::int64_t column = 0; column < columns; ++column)
        numbers[static_cast<std::size_t>(column)] = column > diagonal ? above_ : 0;
      store_elements(type_.dtype, bytes.data() + at, numbers);
    }
    bytes_ = std::move(bytes);
    is_made_ = true;
  }

  Type type_;
  double above_;
  mutable std::once_flag once_;
  mutable std::atomic<bool> is_made_{false};
  mutable std::vector<std::byte> bytes_;
};

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

Constant Constant::upper_triangle(DType dtype, const Shape& shape, double above) {
  ANEMONE_CHECK(shape.rank() >= 2, "a triangle has two axes");
  Constant constant;
  constant.type_ = Type::tensor(dtype, shape);
  constant.value_ = std::make_shared<const Triangle>(constant.type_, above);
  return constant;
}

std::optional<double> Constant::triangle() const {
  const Rule* rule = std::get_if<Rule>(&value_);
  if (rule == nullptr) return std::nullopt;
  return (*rule)->above();
}

bool Constant::is_in_memory() const {
  ANEMONE_CHECK(triangle().has_value(), "a triangle");
  return std::get<Rule>(value_)->is_made();
}

std::span<const std::byte> Constant::bytes() const {
  ANEMONE_CHECK(has_bytes(), "a constant with bytes");
  if (const Rule* rule = std::get_if<Rule>(&value_)) return (*rule)->bytes();
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
  if (!(type_ == other.type_) || has_bytes() != other.has_bytes()) return false;
  if (!has_bytes() || value_ == other.value_) return value_ == other.value_;
  if (triangle() && other.triangle()) return triangle() == other.triangle();
  const auto mine = bytes(), theirs = other.bytes();
  return mine.size() == theirs.size() &&
         (mine.empty() || std::memcmp(mine.data(), theirs.data(), mine.size()) == 0);
}

}  // namespace anemone::mil

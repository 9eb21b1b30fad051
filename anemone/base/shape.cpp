// Shape arithmetic.
#include "anemone/base/shape.h"

#include <algorithm>

#include "anemone/base/error.h"

namespace anemone {

Shape::Shape(std::initializer_list<std::int64_t> dims)
    : Shape(std::span<const std::int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) {
  for (const std::int64_t dim : dims) push_back(dim);
}

void Shape::push_back(std::int64_t dim) { insert(rank_, dim); }

void Shape::insert(int axis, std::int64_t dim) {
  if (rank_ == kMaxRank) throw Error("a tensor of rank above 8", {}, "at most 8 dimensions");
  ANEMONE_CHECK(axis >= 0 && axis <= rank_, "axis inside the shape");
  std::copy_backward(dims_.begin() + axis, dims_.begin() + rank_, dims_.begin() + rank_ + 1);
  dims_[static_cast<std::size_t>(axis)] = dim;
  ++rank_;
}

void Shape::erase(int axis) {
  ANEMONE_CHECK(axis >= 0 && axis < rank_, "axis inside the shape");
  std::copy(dims_.begin() + axis + 1, dims_.begin() + rank_, dims_.begin() + axis);
  --rank_;
}

bool Shape::is_static() const {
  return std::none_of(begin(), end(), [](std::int64_t dim) { return dim < 0; });
}

std::optional<std::int64_t> Shape::checked_elements() const {
  constexpr std::int64_t kLimit = std::int64_t{1} << 62;
  std::int64_t product = 1;
  for (const std::int64_t dim : *this) {
    if (dim < 0) return std::nullopt;
    if (dim != 0 && product > kLimit / dim) return std::nullopt;
    product *= dim;
  }
  return product;
}

std::int64_t Shape::elements() const {
  const auto count = checked_elements();
  ANEMONE_CHECK(count.has_value(), "a static shape of sane size");
  return *count;
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += (*this)[axis] == kUnknown ? "?" : std::to_string((*this)[axis]);
  }
  return text + "]";
}

Strides contiguous_strides(const Shape& shape) {
  Strides strides{};
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<std::size_t>(axis)] = step;
    step *= shape[axis];
  }
  return strides;
}

std::optional<int> normalize_axis(std::int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) return std::nullopt;
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace anemone

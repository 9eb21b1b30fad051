// The shape of a tensor: up to eight dimensions, a small value without heap memory.
//
// A dimension is a count of elements; kUnknown stands for MIL's `?` (a flexible dimension).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

namespace anemone {

class Shape {
 public:
  static constexpr int kMaxRank = 8;
  static constexpr std::int64_t kUnknown = -1;

  Shape() = default;  // rank 0: a scalar
  Shape(std::initializer_list<std::int64_t> dims);
  // Throws Error if there are more than kMaxRank dimensions.
  explicit Shape(std::span<const std::int64_t> dims);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return dims_[static_cast<std::size_t>(axis)]; }
  std::int64_t& operator[](int axis) { return dims_[static_cast<std::size_t>(axis)]; }
  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + rank_; }
  std::span<const std::int64_t> dims() const {
    return {dims_.data(), static_cast<std::size_t>(rank_)};
  }

  void push_back(std::int64_t dim);
  void insert(int axis, std::int64_t dim);
  void erase(int axis);

  bool is_static() const;  // no unknown dimension
  // Product of the dimensions (1 for a scalar); nothing if one is unknown or the product overflows
  // 2^62.
  std::optional<std::int64_t> checked_elements() const;
  // The same for shapes that have been verified; CHECKs.
  std::int64_t elements() const;

  bool operator==(const Shape& other) const;
  std::string to_string() const;  // "[1, 768, 1, 512]"; `?` for an unknown dimension

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

// Strides in elements, one per dimension.
using Strides = std::array<std::int64_t, Shape::kMaxRank>;

// Row-major: the last dimension is contiguous.
Strides contiguous_strides(const Shape& shape);

// axis in [-rank, rank) to [0, rank); nothing if it is outside.
std::optional<int> normalize_axis(std::int64_t axis, int rank);

}  // namespace anemone

// Test tensors: typed, strided memory between sentinels, filled from a seed, read back as double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "anemone/base/cpu_features.h"
#include "anemone/base/dtype.h"
#include "anemone/base/element.h"
#include "anemone/base/shape.h"

namespace anemone::test {

// `elements` of `type` that begin `offset` elements past an aligned address, with guards on both
// sides.
class Buffer {
 public:
  Buffer(DType type, std::int64_t elements, std::int64_t offset = 0)
      : type_(type),
        elements_(elements),
        bytes_(static_cast<std::size_t>(elements + 2 * kGuard + offset + 16) * dtype_size(type),
               kSentinel) {
    // A multiple of 64 bytes into the vector's memory, then the guard, then the wished
    // misalignment.
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    const std::size_t skip = (64 - address % 64) % 64 / dtype_size(type);
    begin_ = skip + static_cast<std::size_t>(kGuard + offset);
    bytes_.resize((begin_ + static_cast<std::size_t>(elements) + kGuard) * dtype_size(type),
                  kSentinel);
  }

  DType type() const { return type_; }
  std::int64_t size() const { return elements_; }
  std::byte* data() { return bytes_.data() + begin_ * dtype_size(type_); }
  const std::byte* data() const { return bytes_.data() + begin_ * dtype_size(type_); }

  double get(std::int64_t i) const {
    return load_element(type_, data(), static_cast<std::size_t>(i));
  }
  void set(std::int64_t i, double value) {
    store_element(type_, data(), static_cast<std::size_t>(i), value);
  }

  bool untouched(std::int64_t i) const {
    const std::byte* element = data() + i * static_cast<std::int64_t>(dtype_size(type_));
    for (std::size_t byte = 0; byte < dtype_size(type_); ++byte) {
      if (element[byte] != kSentinel) return false;
    }
    return true;
  }
  bool guards_intact() const {
    for (std::int64_t i = 1; i <= kGuard; ++i) {
      if (!untouched(-i) || !untouched(elements_ - 1 + i)) return false;
    }
    return true;
  }
  bool same_bytes(const Buffer& other) const {
    return std::memcmp(data(), other.data(),
                       static_cast<std::size_t>(elements_) * dtype_size(type_)) == 0;
  }

  // Uniform in [-1, 1), rounded to the type.
  void fill_random(std::uint32_t seed, double low = -1, double high = 1) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(low, high);
    for (std::int64_t i = 0; i < elements_; ++i) set(i, uniform(random));
  }

 private:
  static constexpr std::byte kSentinel{0xA5};
  static constexpr std::int64_t kGuard = 64;
  DType type_;
  std::int64_t elements_;
  std::size_t begin_ = 0;
  std::vector<std::byte> bytes_;
};

// Half the distance between neighbouring numbers of the type around `value`: what rounding may
// change.
inline double half_ulp(DType type, double value) {
  const double magnitude = std::abs(value);
  int bits = 0, lowest = 0;  // significand bits; exponent of the smallest positive number
  switch (type) {
    case DType::fp16:
      bits = 11, lowest = -24;
      break;
    case DType::bf16:
      bits = 8, lowest = -133;
      break;
    case DType::fp32:
      bits = 24, lowest = -149;
      break;
    default:
      return 0.5;
  }
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  return std::ldexp(0.5, std::max(exponent - bits, lowest));
}

// Where the index-th element (row-major) of a tensor lies.
inline std::int64_t offset_of(const Shape& shape, const Strides& strides, std::int64_t index) {
  std::int64_t offset = 0;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    offset += index % shape[axis] * strides[static_cast<std::size_t>(axis)];
    index /= shape[axis];
  }
  return offset;
}

// Elements from the first to the last of a tensor.
inline std::int64_t extent(const Shape& shape, const Strides& strides) {
  std::int64_t last = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 0) return 0;
    last += (shape[axis] - 1) * strides[static_cast<std::size_t>(axis)];
  }
  return last + 1;
}

// Row-major strides with `gap` unused elements after each row, and axes exchanged in memory if
// asked.
inline Strides padded_strides(const Shape& shape, std::int64_t gap, int first = -1,
                              int second = -1) {
  Shape stored = shape;
  if (first >= 0) std::swap(stored[first], stored[second]);
  Strides strides{};
  std::int64_t next = 1;
  for (int axis = stored.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<std::size_t>(axis)] = next;
    next = next * stored[axis] + gap;
  }
  if (first >= 0)
    std::swap(strides[static_cast<std::size_t>(first)], strides[static_cast<std::size_t>(second)]);
  return strides;
}

// The elements that a strided tensor does not own are as they were.
inline bool only_wrote(const Buffer& buffer, const Shape& shape, const Strides& strides) {
  std::vector<bool> owned(static_cast<std::size_t>(buffer.size()));
  for (std::int64_t i = 0; i < shape.elements(); ++i)
    owned[static_cast<std::size_t>(offset_of(shape, strides, i))] = true;
  for (std::int64_t i = 0; i < buffer.size(); ++i) {
    if (!owned[static_cast<std::size_t>(i)] && !buffer.untouched(i)) return false;
  }
  return buffer.guards_intact();
}

// The rows of a kernel table that this machine can run, each with features for which it is the one
// picked.
template <class Table>
std::vector<CpuFeatures> runnable(const Table& table) {
  std::vector<CpuFeatures> found;
  for (const auto& row : table) {
    if (cpu_features().has(row.isa)) found.push_back(cpu_features().capped(row.isa));
  }
  return found;
}

}  // namespace anemone::test

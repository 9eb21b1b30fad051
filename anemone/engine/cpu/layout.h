// Where the elements of a tensor lie: strides and an offset inside some storage. A reshape,
// transposition or slice of a tensor in memory is another layout of the same memory, not a copy,
// wherever strides can say it; these are the pure functions that compute such layouts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "anemone/base/shape.h"

namespace anemone::cpu {

// In elements of the storage's type. Strides of dimensions of one element mean nothing.
struct Layout {
  Shape shape;
  Strides strides{};
  std::int64_t offset = 0;

  static Layout contiguous(const Shape& shape);
};

// Every element at the same place.
bool same_places(const Layout& a, const Layout& b);

// The same elements in row-major order under another shape of as many elements; nothing if that
// needs more than strides.
std::optional<Layout> reshaped(const Layout& layout, const Shape& shape);

// Dimension i of the result is dimension permutation[i].
Layout transposed(const Layout& layout, std::span<const std::int64_t> permutation);
Layout transposed_back(const Layout& layout, std::span<const std::int64_t> permutation);

// Element i of the result along an axis is element begin + i * step.
Layout sliced(const Layout& layout, int axis, std::int64_t begin, std::int64_t step,
              std::int64_t size);

// Strides with which `layout` is read as a tensor of `shape`, broadcast as MIL does: dimensions
// aligned at the last one, missing ones and those of one element repeated (stride 0).
Strides broadcast_strides(const Layout& layout, const Shape& shape);

}  // namespace anemone::cpu

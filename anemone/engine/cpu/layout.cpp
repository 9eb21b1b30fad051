// Views as arithmetic on strides.
#include "anemone/engine/cpu/layout.h"

#include "anemone/base/error.h"

namespace anemone::cpu {
namespace {

bool is_empty(const Shape& shape) {
  for (const std::int64_t dim : shape) {
    if (dim == 0) return true;
  }
  return false;
}

}  // namespace

Layout Layout::contiguous(const Shape& shape) { return {shape, contiguous_strides(shape), 0}; }

bool same_places(const Layout& a, const Layout& b) {
  if (!(a.shape == b.shape)) return false;
  if (is_empty(a.shape)) return true;
  if (a.offset != b.offset) return false;
  for (int axis = 0; axis < a.shape.rank(); ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    if (a.shape[axis] != 1 && a.strides[i] != b.strides[i]) return false;
  }
  return true;
}

std::optional<Layout> reshaped(const Layout& layout, const Shape& shape) {
  if (is_empty(layout.shape)) return Layout::contiguous(shape);

  // Dimensions of one element do not matter.
  std::int64_t dims[Shape::kMaxRank];
  std::int64_t strides[Shape::kMaxRank];
  int rank = 0;
  for (int axis = 0; axis < layout.shape.rank(); ++axis) {
    if (layout.shape[axis] == 1) continue;
    dims[rank] = layout.shape[axis];
    strides[rank] = layout.strides[static_cast<std::size_t>(axis)];
    ++rank;
  }

  // From the innermost dimension outwards: a run of old dimensions whose product is that of a run
  // of new ones. Inside a run the old dimensions must lie as one dimension would.
  Layout result{shape, {}, layout.offset};
  int old_axis = rank - 1;
  int new_axis = shape.rank() - 1;
  std::int64_t next_stride = 1;
  while (new_axis >= 0) {
    if (shape[new_axis] == 1) {
      result.strides[static_cast<std::size_t>(new_axis--)] = next_stride;
      continue;
    }
    ANEMONE_CHECK(old_axis >= 0, "a reshape keeps the number of elements");
    std::int64_t old_size = dims[old_axis];
    std::int64_t new_size = shape[new_axis];
    std::int64_t stride = strides[old_axis];
    std::int64_t filled = shape[new_axis];
    result.strides[static_cast<std::size_t>(new_axis)] = stride;
    while (old_size != new_size) {
      if (old_size < new_size) {
        --old_axis;
        ANEMONE_CHECK(old_axis >= 0, "a reshape keeps the number of elements");
        if (strides[old_axis] != strides[old_axis + 1] * dims[old_axis + 1]) return std::nullopt;
        old_size *= dims[old_axis];
      } else {
        --new_axis;
        ANEMONE_CHECK(new_axis >= 0, "a reshape keeps the number of elements");
        result.strides[static_cast<std::size_t>(new_axis)] = stride * filled;
        filled *= shape[new_axis];
        new_size *= shape[new_axis];
      }
    }
    next_stride = stride * filled;
    --old_axis;
    --new_axis;
  }
  return result;
}

Layout transposed(const Layout& layout, std::span<const std::int64_t> permutation) {
  Layout result = layout;
  for (std::size_t i = 0; i < permutation.size(); ++i) {
    const auto from = static_cast<int>(permutation[i]);
    result.shape[static_cast<int>(i)] = layout.shape[from];
    result.strides[i] = layout.strides[static_cast<std::size_t>(from)];
  }
  return result;
}

Layout transposed_back(const Layout& layout, std::span<const std::int64_t> permutation) {
  Layout result = layout;
  for (std::size_t i = 0; i < permutation.size(); ++i) {
    const auto to = static_cast<int>(permutation[i]);
    result.shape[to] = layout.shape[static_cast<int>(i)];
    result.strides[static_cast<std::size_t>(to)] = layout.strides[i];
  }
  return result;
}

Layout sliced(const Layout& layout, int axis, std::int64_t begin, std::int64_t step,
              std::int64_t size) {
  Layout result = layout;
  const auto i = static_cast<std::size_t>(axis);
  result.offset += begin * layout.strides[i];
  result.strides[i] *= step;
  result.shape[axis] = size;
  return result;
}

Strides broadcast_strides(const Layout& layout, const Shape& shape) {
  Strides strides{};
  const int missing = shape.rank() - layout.shape.rank();
  ANEMONE_CHECK(missing >= 0, "a tensor is broadcast to at least its own rank");
  for (int axis = missing; axis < shape.rank(); ++axis) {
    const int own = axis - missing;
    const bool repeated = layout.shape[own] == 1;
    strides[static_cast<std::size_t>(axis)] =
        repeated ? 0 : layout.strides[static_cast<std::size_t>(own)];
  }
  return strides;
}

}  // namespace anemone::cpu

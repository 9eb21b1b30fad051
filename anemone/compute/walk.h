// How a strided tensor is read in row-major order: its dimensions, merged where the strides allow
// it.
//
// Walks are made when planning. A contiguous tensor has one dimension whatever its shape; a
// broadcast one has dimensions of stride 0. Tensors of one program are merged independently of each
// other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/dtype.h"
#include "anemone/base/shape.h"

namespace anemone::compute {

struct Walk {
  DType type = DType::fp32;
  int rank = 0;  // 1…kMaxRank; the last dimension is the innermost
  std::int64_t dims[Shape::kMaxRank] = {};
  std::ptrdiff_t strides[Shape::kMaxRank] = {};
};

Walk make_walk(DType type, const Shape& shape, const Strides& strides);

// The same positions in two tensors, with dimensions that both allow to be merged.
struct PairedWalk {
  int rank = 0;  // 0…kMaxRank
  std::int64_t dims[Shape::kMaxRank] = {};
  std::ptrdiff_t in[Shape::kMaxRank] = {}, out[Shape::kMaxRank] = {};

  struct Offsets {
    std::ptrdiff_t in = 0, out = 0;
  };
  Offsets at(std::int64_t index) const;  // of the index-th position in row-major order
  std::int64_t positions() const;
  void erase(int axis);
};

// Over the dimensions of `shape` whose bits are set in `axes`.
PairedWalk make_paired_walk(const Shape& shape, std::uint32_t axes, const Strides& in,
                            const Strides& out);

constexpr std::uint32_t kAllAxes = (1u << Shape::kMaxRank) - 1;

// Calls piece(offset, stride, position, count) for the runs of equal stride that make up elements
// [begin, begin + count) of the walk: `offset` in elements from the tensor's first, `position`
// counted from `begin`.
template <class Piece>
void for_each_piece(const Walk& walk, std::int64_t begin, std::int64_t count, Piece&& piece) {
  const int last = walk.rank - 1;
  std::int64_t index[Shape::kMaxRank];
  std::int64_t rest = begin;
  std::ptrdiff_t offset = 0;
  for (int axis = last; axis >= 0; --axis) {
    index[axis] = rest % walk.dims[axis];
    rest /= walk.dims[axis];
    offset += index[axis] * walk.strides[axis];
  }
  for (std::int64_t position = 0; position < count;) {
    const std::int64_t room = walk.dims[last] - index[last];
    const std::int64_t length = room < count - position ? room : count - position;
    piece(offset, walk.strides[last], position, length);
    position += length;
    if (position == count) return;
    // The row is used up: carry into the outer dimensions.
    offset -= index[last] * walk.strides[last];
    index[last] = 0;
    for (int axis = last - 1; axis >= 0; --axis) {
      offset += walk.strides[axis];
      if (++index[axis] < walk.dims[axis]) break;
      offset -= index[axis] * walk.strides[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace anemone::compute

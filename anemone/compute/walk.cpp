// Merging dimensions that the strides allow to be read as one.
#include "anemone/compute/walk.h"

namespace anemone::compute {

PairedWalk make_paired_walk(const Shape& shape, std::uint32_t axes, const Strides& in,
                            const Strides& out) {
  PairedWalk walk;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (!((axes >> axis) & 1u) || shape[axis] == 1) continue;
    const auto i = static_cast<std::size_t>(axis);
    const int last = walk.rank - 1;
    const std::int64_t dim = shape[axis];
    if (last >= 0 && walk.in[last] == in[i] * dim && walk.out[last] == out[i] * dim) {
      walk.dims[last] *= dim;
      walk.in[last] = in[i];
      walk.out[last] = out[i];
    } else {
      walk.dims[walk.rank] = dim;
      walk.in[walk.rank] = in[i];
      walk.out[walk.rank] = out[i];
      ++walk.rank;
    }
  }
  return walk;
}

Walk make_walk(DType type, const Shape& shape, const Strides& strides) {
  const PairedWalk merged = make_paired_walk(shape, kAllAxes, strides, strides);
  Walk walk;
  walk.type = type;
  walk.rank = merged.rank;
  for (int axis = 0; axis < merged.rank; ++axis) {
    walk.dims[axis] = merged.dims[axis];
    walk.strides[axis] = merged.in[axis];
  }
  if (walk.rank == 0) {
    walk.rank = 1;
    walk.dims[0] = 1;
    walk.strides[0] = 1;
  }
  return walk;
}

PairedWalk::Offsets PairedWalk::at(std::int64_t index) const {
  Offsets offsets;
  for (int axis = rank - 1; axis >= 0; --axis) {
    const std::int64_t position = index % dims[axis];
    index /= dims[axis];
    offsets.in += position * in[axis];
    offsets.out += position * out[axis];
  }
  return offsets;
}

std::int64_t PairedWalk::positions() const {
  std::int64_t product = 1;
  for (int axis = 0; axis < rank; ++axis) product *= dims[axis];
  return product;
}

void PairedWalk::erase(int axis) {
  for (int i = axis; i + 1 < rank; ++i) {
    dims[i] = dims[i + 1];
    in[i] = in[i + 1];
    out[i] = out[i + 1];
  }
  --rank;
}

}  // namespace anemone::compute

// Loops over tensors of one shape that lie in memory with strides of their own.
#pragma once

#include <array>
#include <cstdint>

#include "anemone/base/shape.h"

namespace anemone {

// Visits the elements of N tensors of one shape (with strides of their own) as runs along the
// innermost dimension:
//   run(offsets, count, steps): element i of the run lies at offsets[n] + i * steps[n] in tensor n.
// Dimensions that are contiguous in all tensors are merged first, so runs are long.
template <std::size_t N, class Run>
void for_each_run(const Shape& shape, const std::array<Strides, N>& strides, Run&& run) {
  std::array<std::int64_t, Shape::kMaxRank> dims{};
  std::array<std::array<std::int64_t, N>, Shape::kMaxRank> steps{};  // per merged dimension
  std::size_t rank = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t dim = shape[axis];
    if (dim == 0) return;
    if (dim == 1) continue;
    std::array<std::int64_t, N> step;
    for (std::size_t n = 0; n < N; ++n) step[n] = strides[n][static_cast<std::size_t>(axis)];
    bool merges = rank > 0;
    for (std::size_t n = 0; merges && n < N; ++n) merges = steps[rank - 1][n] == step[n] * dim;
    if (merges) {
      dims[rank - 1] *= dim;
      steps[rank - 1] = step;
    } else {
      dims[rank] = dim;
      steps[rank++] = step;
    }
  }
  if (rank == 0) {
    dims[rank++] = 1;
  }
  std::array<std::int64_t, N> offsets{};
  std::array<std::int64_t, Shape::kMaxRank> index{};
  while (true) {
    run(offsets, dims[rank - 1], steps[rank - 1]);
    std::size_t d = rank - 1;
    while (d-- > 0) {
      for (std::size_t n = 0; n < N; ++n) offsets[n] += steps[d][n];
      if (++index[d] < dims[d]) break;
      for (std::size_t n = 0; n < N; ++n) offsets[n] -= steps[d][n] * dims[d];
      index[d] = 0;
    }
    if (d == static_cast<std::size_t>(-1)) return;
  }
}

// destination[…] = source[…] over `shape`.
template <class T>
void copy_strided(const Shape& shape, const T* source, const Strides& from, T* destination,
                  const Strides& to) {
  for_each_run<2>(shape, {from, to},
                  [&](const auto& offsets, std::int64_t count, const auto& steps) {
                    const T* in = source + offsets[0];
                    T* out = destination + offsets[1];
                    for (std::int64_t i = 0; i < count; ++i) out[i * steps[1]] = in[i * steps[0]];
                  });
}

}  // namespace anemone

// Views of matrices in memory. Strides count elements and may be anything; a transposition is a
// swap of strides.
#pragma once

#include <cstddef>

#include "anemone/base/dtype.h"

namespace anemone::compute {

struct ConstMatrixRef {
  const std::byte* data = nullptr;
  DType type = DType::fp32;
  std::ptrdiff_t row_stride = 0;
  std::ptrdiff_t col_stride = 1;

  ConstMatrixRef transposed() const { return {data, type, col_stride, row_stride}; }
};

struct MatrixRef {
  std::byte* data = nullptr;
  DType type = DType::fp32;
  std::ptrdiff_t row_stride = 0;
  std::ptrdiff_t col_stride = 1;

  MatrixRef transposed() const { return {data, type, col_stride, row_stride}; }
  operator ConstMatrixRef() const {
    return {data, type, row_stride, col_stride};
  }  // NOLINT: widening
};

}  // namespace anemone::compute

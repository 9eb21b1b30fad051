// Copies between strided tensors, with conversion of the element type: casts, transpositions,
// gathers of views.
#pragma once

#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/base/shape.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/compute/walk.h"
#include "anemone/kernels/convert/convert.h"

namespace anemone::compute {

struct CopySpec {
  Shape shape;
  DType in_type = DType::fp32;
  Strides in_strides{};  // 0 broadcasts
  DType out_type = DType::fp32;
  Strides out_strides{};
};

struct CopyPlan {
  enum class Kind : std::uint8_t { rows, transpose };
  const kernels::ConvertKernel* kernel = nullptr;
  Kind kind = Kind::rows;
  DType in_type = DType::fp32, out_type = DType::fp32;
  PairedWalk outer;  // the dimensions around the matrices
  // A matrix: contiguous along columns where possible; for a transposition along columns in `in`
  // and along rows in `out`.
  std::int64_t rows = 1, columns = 1;
  std::ptrdiff_t row_in = 0, row_out = 0, column_in = 0, column_out = 0;
  std::int64_t block_rows = 1, blocks = 0;   // of one matrix
  std::int64_t groups = 0, task_groups = 0;  // blocks of all matrices; those of one task

  int tasks() const;
};

// Equal types are moved bit for bit, whatever they are. Different ones go through fp32: both must
// be among fp16, bf16, fp32, bool, int8, int16, int32, uint8, uint16 (int32 beyond 2^24 is
// rounded). Integers: toward zero, saturating.
bool copy_supports(DType from, DType to);
CopyPlan plan_copy(const CopySpec& spec, const CpuFeatures& features = cpu_features());
// `in` and `out` must not overlap.
void run(ThreadPool& pool, const CopyPlan& plan, const void* in, void* out);

}  // namespace anemone::compute

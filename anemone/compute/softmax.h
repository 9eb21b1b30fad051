// Softmax along one axis: exp(x - max) / Σ exp(x - max), computed in fp32, rounded once.
#pragma once

#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/base/shape.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/compute/walk.h"
#include "anemone/kernels/convert/convert.h"
#include "anemone/kernels/elementwise/elementwise.h"
#include "anemone/kernels/reduce/reduce.h"

namespace anemone::compute {

struct SoftmaxSpec {
  Shape shape;
  int axis = 0;  // 0 <= axis < rank
  DType in_type = DType::fp32;
  Strides in_strides{};
  DType out_type = DType::fp32;
  Strides out_strides{};
  // The last two dimensions are equal and the axis is the last: row r has r + 1 elements, whatever
  // the others hold, and 0 is stored for those.
  bool causal = false;
};

struct SoftmaxPlan {
  const kernels::ReduceKernel* kernel = nullptr;
  const kernels::ConvertKernel* convert = nullptr;
  const kernels::ElementwiseKernel* elementwise = nullptr;
  DType in_type = DType::fp32, out_type = DType::fp32;
  std::int64_t length = 0;                       // of the axis
  bool causal = false;                           // row i of every `length` has i + 1 elements
  std::ptrdiff_t in_stride = 0, out_stride = 0;  // along the axis
  PairedWalk rest;                               // the other dimensions
  // By columns, the lanes of a vector are neighbouring rows (the last dimension of `rest`, in
  // blocks of `width`), for an axis that is not the contiguous one; otherwise they are one row's
  // elements.
  bool by_columns = false;
  std::int64_t width = 1;
  std::int64_t groups = 0, task_groups = 0;  // blocks of rows, or rows; those of one task

  int tasks() const;
};

// A row of -inf only gives NaN, as the formula does. in == out with equal types and strides is
// allowed.
SoftmaxPlan plan_softmax(const SoftmaxSpec& spec, const CpuFeatures& features = cpu_features());
void run(ThreadPool& pool, const SoftmaxPlan& plan, const void* in, void* out);

}  // namespace anemone::compute

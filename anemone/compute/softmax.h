// Softmax along one axis: exp(x - max) / Σ exp(x - max), computed in fp32, rounded once.
#pragma once

#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/base/shape.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/compute/walk.h"
#include "anemone/kernels/reduce/reduce.h"

namespace anemone::compute {

struct SoftmaxSpec {
  Shape shape;
  int axis = 0;  // 0 <= axis < rank
  DType in_type = DType::fp32;
  Strides in_strides{};
  DType out_type = DType::fp32;
  Strides out_strides{};
};

struct SoftmaxPlan {
  const kernels::ReduceKernel* kernel = nullptr;
  DType in_type = DType::fp32, out_type = DType::fp32;
  std::int64_t length = 0;                       // of the axis
  std::ptrdiff_t in_stride = 0, out_stride = 0;  // along the axis
  Shape rest;                                    // the other dimensions, merged
  Strides rest_in{}, rest_out{};
  std::int64_t rows = 0, task_rows = 0;
  bool by_columns =
      false;  // lanes run over neighbouring rows, for an axis that is not the contiguous one

  int tasks() const;
};

// A row of -inf only gives NaN, as the formula does. in == out with equal types and strides is
// allowed.
SoftmaxPlan plan_softmax(const SoftmaxSpec& spec, const CpuFeatures& features = cpu_features());
void run(ThreadPool& pool, const SoftmaxPlan& plan, const void* in, void* out);

}  // namespace anemone::compute

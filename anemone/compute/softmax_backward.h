// The derivative of softmax along the last axis:  dx = p · (dp - Σ p · dp), one pass over memory.
#pragma once

#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/base/shape.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/kernels/convert/convert.h"
#include "anemone/kernels/elementwise/elementwise.h"
#include "anemone/kernels/reduce/reduce.h"

namespace anemone::compute {

struct SoftmaxBackwardSpec {
  Shape shape;  // rank 1 or more
  DType p_type = DType::fp32, dp_type = DType::fp32, dx_type = DType::fp32;
  Strides p_strides{}, dp_strides{}, dx_strides{};
  bool causal = false;  // as in SoftmaxSpec: p and dp are not read beyond, dx is 0
};

struct SoftmaxBackwardPlan {
  SoftmaxBackwardSpec spec;
  const kernels::ConvertKernel* convert = nullptr;
  const kernels::ElementwiseKernel* elementwise = nullptr;
  const kernels::ReduceKernel* reduce = nullptr;
  std::int64_t rows = 0, length = 0, task_rows = 1;

  int tasks() const;
};

SoftmaxBackwardPlan plan_softmax_backward(const SoftmaxBackwardSpec& spec,
                                          const CpuFeatures& features = cpu_features());
// dx may be exactly p or dp (same address, type and strides).
void run(ThreadPool& pool, const SoftmaxBackwardPlan& plan, const void* p, const void* dp,
         void* dx);

}  // namespace anemone::compute

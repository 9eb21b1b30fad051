// log(Σ e^x) of a strided tensor over some of its axes, in fp32, without overflow: the maximum
// comes off first, piece by piece, and the pieces' sums are brought to one maximum in a fixed
// order.
#pragma once

#include <cstddef>
#include <span>

#include "anemone/compute/reduce.h"
#include "anemone/kernels/elementwise/elementwise.h"

namespace anemone::compute {

struct LogSumExpPlan {
  ReducePlan walk;  // which inputs belong to which result, cut into which tasks
  const kernels::ElementwiseKernel* elementwise = nullptr;

  int tasks() const { return walk.tasks(); }
  std::size_t workspace_bytes() const;
};

// As a reduction's; spec.op is not used. A sum over nothing, or over -inf only, gives -inf.
LogSumExpPlan plan_log_sum_exp(const ReduceSpec& spec,
                               const CpuFeatures& features = cpu_features());
void run(ThreadPool& pool, const LogSumExpPlan& plan, std::span<std::byte> workspace,
         const void* in, void* out);

}  // namespace anemone::compute

// Reductions of fp32 slots, and the middle part of a softmax.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/kernels/table.h"

namespace anemone::kernels {

enum class ReduceOp : std::uint8_t {
  sum,
  mean,
  sum_square,
  max,
  min
};  // mean: a sum, divided by whoever asked

// The reduction of slot[0, n), in an order that depends on n only. max and min propagate NaN.
using ReduceSlotFn = float(ReduceOp op, const float* slot, std::ptrdiff_t n) noexcept;
// accumulator[i] = accumulator[i] op slot[i], for i < n rounded up to kSlotMultiple.
using AccumulateFn = void(ReduceOp op, float* accumulator, const float* slot,
                          std::ptrdiff_t n) noexcept;
// slot[i] = e^(slot[i] - shift) for i < n; returns the sum of the results.
using ExpSumFn = float(float* slot, std::ptrdiff_t n, float shift) noexcept;
// slot[i] = slot[i] * factor for i < n rounded up to kSlotMultiple.
using ScaleFn = void(float* slot, std::ptrdiff_t n, float factor) noexcept;

struct ReduceKernel {
  Isa isa;
  const char* name;
  ReduceSlotFn* reduce;
  AccumulateFn* accumulate;
  ExpSumFn* exp_sum;
  ScaleFn* scale;
};

KernelTable<ReduceKernel> reduce_kernels();
inline const ReduceKernel& pick_reduce(const CpuFeatures& features) {
  return reduce_kernels().pick(features);
}

}  // namespace anemone::kernels

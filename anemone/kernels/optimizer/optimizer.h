// The optimizer's passes over fp32 parameters, moments and gradients.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/kernels/table.h"

namespace anemone::kernels {

// For i < n: g = gradient_scale · gradient + coupled_decay · w;  m = beta1·m + (1-beta1)·g;  v =
// beta2·v + (1-beta2)·g²; w = w - (step · m / (√v · v_scale + epsilon) + decoupled_decay · w). step
// = lr / (1-beta1^t), v_scale = 1 / √(1-beta2^t), decoupled_decay = lr · decay: computed by the
// caller in double.
struct AdamArgs {
  float* weights = nullptr;
  float* m = nullptr;
  float* v = nullptr;
  const float* gradient = nullptr;
  std::ptrdiff_t n = 0;
  float gradient_scale = 1, coupled_decay = 0, decoupled_decay = 0;
  float beta1 = 0, one_minus_beta1 = 0, beta2 = 0, one_minus_beta2 = 0;
  float step = 0, v_scale = 0, epsilon = 0;
};
using AdamFn = void(const AdamArgs& args) noexcept;

// Adds up squares in double, in an order that depends on n only.
struct GradientPart {
  double sum_of_squares = 0;
  bool finite = true;
  bool zero = true;
};
using GradientFn = GradientPart(const float* gradient, std::ptrdiff_t n) noexcept;

struct OptimizerKernel {
  Isa isa;
  const char* name;
  AdamFn* adam;
  GradientFn* summarize;
};

KernelTable<OptimizerKernel> optimizer_kernels();
inline const OptimizerKernel& pick_optimizer(const CpuFeatures& features) {
  return optimizer_kernels().pick(features);
}

}  // namespace anemone::kernels

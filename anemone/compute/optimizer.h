// What the trainer does to parameters and gradients, all fp32: the Adam update, the gradient's
// norm, zeroing.
#pragma once

#include <cstdint>
#include <span>

#include "anemone/base/cpu_features.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/kernels/optimizer/optimizer.h"

namespace anemone::compute {

// Adam (Kingma & Ba 2015, algorithm 1) with decoupled weight decay (Loshchilov & Hutter 2019,
// algorithm 2 with the learning rate as the decay's multiplier):
//   g = gradient_scale · gradient          (+ weight_decay · w when the decay is not decoupled)
//   m = β1·m + (1-β1)·g;   v = β2·v + (1-β2)·g²
//   w = w - lr · ( m/(1-β1^t) / (sqrt(v/(1-β2^t)) + ε)  + weight_decay · w when it is decoupled )
struct AdamOptions {
  float learning_rate = 1e-3f;
  float beta1 = 0.9f, beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 0;
  bool decoupled_decay = true;  // false: L2 added to the gradient
  float gradient_scale = 1;     // 1 / (accumulate · loss scale), times the clipping factor
  std::int64_t t = 1;           // 1 at the first update
};

// All spans have the same size. Bitwise the same for any number of threads.
void adam_update(ThreadPool& pool, const AdamOptions& options, std::span<float> weights,
                 std::span<float> m, std::span<float> v, std::span<const float> gradient,
                 const CpuFeatures& features = cpu_features());

struct GradientSummary {
  double sum_of_squares = 0;  // of the unscaled gradient, each term rounded to no less than fp32;
                              // inf or NaN if not finite
  bool finite = true;         // no element is inf or NaN
  bool zero = true;           // every element is 0
};
GradientSummary summarize_gradient(ThreadPool& pool, std::span<const float> gradient,
                                   const CpuFeatures& features = cpu_features());

void fill_zero(ThreadPool& pool, std::span<float> values);

// sum[i] += part[i] of each part in turn, all of one size: the same sums for any number of threads.
void add_in_order(ThreadPool& pool, std::span<float> sum,
                  std::span<const std::span<const float>> parts,
                  const CpuFeatures& features = cpu_features());

}  // namespace anemone::compute

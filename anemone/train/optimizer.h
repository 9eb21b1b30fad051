// One update: looks at the accumulated gradient, lets the loss scale decide whether it is used, and
// applies Adam.
#pragma once

#include <cstdint>
#include <string>

#include "anemone/compute/thread_pool.h"
#include "anemone/train/loss_scale.h"
#include "anemone/train/parameters.h"
#include "anemone/train/run_config.h"

namespace anemone::train {

struct AccumulatedGradient {
  LossScale::Gradient kind = LossScale::Gradient::good;
  double norm = 0;              // global, of the mean gradient without the loss scale
  std::string first_parameter;  // whose gradient is not finite, if one is
};

// The gradient is the sum of `accumulated` samples' gradients, each times `loss_scale`.
AccumulatedGradient inspect_gradient(compute::ThreadPool& pool, ParameterList& parameters,
                                     std::uint64_t accumulated, double loss_scale);

// What one update is made with, besides the config.
struct AdamStep {
  std::uint64_t accumulated = 1;  // as for inspect_gradient
  double loss_scale = 1;
  double learning_rate = 0;
  std::uint64_t t = 1;  // Adam's count, 1 for the first
};

// Adam's update with that gradient, clipped to config.grad_clip.
void apply_adam(compute::ThreadPool& pool, ParameterList& parameters, const TrainConfig& config,
                const AccumulatedGradient& gradient, const AdamStep& step);

}  // namespace anemone::train

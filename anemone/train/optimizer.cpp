// The update of the parameters, on top of compute's kernels.
#include "anemone/train/optimizer.h"

#include <cmath>

#include "anemone/compute/optimizer.h"

namespace anemone::train {
namespace {

double mean_factor(std::uint64_t accumulated, double loss_scale) {
  return 1 / (static_cast<double>(accumulated) * loss_scale);
}

}  // namespace

AccumulatedGradient inspect_gradient(compute::ThreadPool& pool, ParameterList& parameters,
                                     std::uint64_t accumulated, double loss_scale) {
  const compute::GradientSummary summary =
      compute::summarize_gradient(pool, parameters.gradients());
  AccumulatedGradient gradient;
  gradient.norm = std::sqrt(summary.sum_of_squares) * mean_factor(accumulated, loss_scale);
  if (summary.finite) {
    if (summary.zero) gradient.kind = LossScale::Gradient::all_zero;
    return gradient;
  }
  gradient.kind = LossScale::Gradient::non_finite;
  for (const Parameter& parameter : parameters.all()) {
    if (compute::summarize_gradient(pool, parameter.gradient).finite) continue;
    gradient.first_parameter = parameter.spec.name;
    break;
  }
  return gradient;
}

void apply_adam(compute::ThreadPool& pool, ParameterList& parameters, const TrainConfig& config,
                const AccumulatedGradient& gradient, const AdamStep& step) {
  double factor = mean_factor(step.accumulated, step.loss_scale);
  if (config.grad_clip > 0 && gradient.norm > config.grad_clip)
    factor *= config.grad_clip / gradient.norm;
  compute::AdamOptions options;
  options.learning_rate = static_cast<float>(step.learning_rate);
  options.beta1 = static_cast<float>(config.beta1);
  options.beta2 = static_cast<float>(config.beta2);
  options.epsilon = static_cast<float>(config.epsilon);
  options.gradient_scale = static_cast<float>(factor);
  options.t = static_cast<std::int64_t>(step.t);
  for (Parameter& parameter : parameters.all()) {
    options.weight_decay = parameter.spec.decay ? static_cast<float>(config.weight_decay) : 0.0F;
    compute::adam_update(pool, options, parameter.value, parameter.moment1, parameter.moment2,
                         parameter.gradient);
  }
}

}  // namespace anemone::train

// Losses and their gradients, in fp32: a mean of hundreds of thousands of small squares, or a sum
// of the exponentials of a vocabulary, is out of fp16's reach.
#include "anemone/nn/blocks.h"

namespace anemone::nn {

MseLoss mse_loss(mil::Builder& b, mil::Value y, mil::Value target, mil::Value scale) {
  const DType dtype = b.dtype(y);
  const auto elements = static_cast<double>(b.shape(y).elements());
  const std::vector<std::int64_t> all_axes = {0, 1, 2, 3};

  const auto difference = b.sub(
      {{"x", as_type(b, y, DType::fp32)}, {"y", as_type(b, target, DType::fp32)}}, "difference");
  const auto square = b.mul({{"x", difference}, {"y", difference}}, "squared_error");
  const auto loss =
      b.reduce_mean({{"x", square}, {"axes", all_axes}, {"keep_dims", true}}, "mean_squared_error");

  // Divided, not multiplied by 2/N: a count is exact in fp32 where its inverse is not.
  const auto twice = b.mul({{"x", scale}, {"y", 2.0}}, "twice_scale");
  const auto factor = b.real_div({{"x", twice}, {"y", elements}}, "dloss_factor");
  const auto gradient = b.mul({{"x", difference}, {"y", factor}}, "dloss");
  return {loss, as_type(b, gradient, dtype)};
}

mil::Value log_sum_exp(mil::Builder& b, mil::Value logits) {
  const std::vector<std::int64_t> channels = {1};
  return b.reduce_log_sum_exp(
      {{"x", as_type(b, logits, DType::fp32)}, {"axes", channels}, {"keep_dims", true}}, "log_sum");
}

mil::Value weighted_softmax(mil::Builder& b, mil::Value logits, mil::Value log_sum,
                            mil::Value weight) {
  const auto centered =
      b.sub({{"x", as_type(b, logits, DType::fp32)}, {"y", log_sum}}, "log_probabilities");
  const auto probabilities = b.exp({{"x", centered}}, "probabilities");
  const auto weighted = b.mul({{"x", probabilities}, {"y", weight}}, "weighted");
  return as_type(b, weighted, b.dtype(logits));
}

}  // namespace anemone::nn

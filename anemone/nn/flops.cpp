// FLOPs of a step, as usually counted: 2 for each multiply-add of a matrix product, nothing for the
// rest.
#include "anemone/nn/layer.h"

namespace anemone::nn {

StepFlops step_flops(const ModelConfig& given, bool causal) {
  ModelConfig config = given;
  config.resolve();
  const auto positions = static_cast<double>(config.seq * config.batch);
  const auto dim = static_cast<double>(config.dim), hidden = static_cast<double>(config.hidden);
  const auto q_dim = static_cast<double>(config.q_dim()),
             kv_dim = static_cast<double>(config.kv_dim());
  const auto layers = static_cast<double>(config.layers);

  // wq and wo, wk and wv, w1 and w2 and w3.
  const double weights = 2 * dim * q_dim + 2 * dim * kv_dim + 3 * dim * hidden;
  const double linear = layers * 2 * positions * weights;
  const double square =
      layers * 2 * positions * static_cast<double>(config.seq) * q_dim * (causal ? 0.5 : 1.0);

  // Once forward, however often its parts of logits are computed.
  const double classifier = 2 * positions * dim * static_cast<double>(config.vocab);

  StepFlops flops;
  flops.forward = linear + classifier + 2 * square;  // scores, and their product with v
  flops.dx = linear + classifier;
  flops.dw = linear + classifier;
  flops.attention_backward = 5 * square;  // scores again, dV, dP, dQ, dK
  return flops;
}

}  // namespace anemone::nn

// Layers that several tests take.
#pragma once

#include <cstdint>

#include "anemone/base/dtype.h"
#include "anemone/nn/model_config.h"

namespace anemone::test {

// configs/layer.toml.
inline nn::ModelConfig default_layer(DType dtype = DType::fp16) {
  nn::ModelConfig config;
  config.dim = 768;
  config.hidden = 2048;
  config.heads = 12;
  config.seq = 512;
  config.dtype = dtype;
  return config;
}

// A layer with three heads that takes no time.
inline nn::ModelConfig small_layer(std::int64_t dim, std::int64_t hidden, std::int64_t seq,
                                   DType dtype = DType::fp16) {
  nn::ModelConfig config;
  config.dim = dim;
  config.hidden = hidden;
  config.heads = 3;
  config.seq = seq;
  config.dtype = dtype;
  return config;
}

}  // namespace anemone::test

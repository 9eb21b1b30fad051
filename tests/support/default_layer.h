// The shape of the default layer, configs/layer.toml.
#pragma once

#include "anemone/nn/model_config.h"

namespace anemone::test {

inline nn::ModelConfig default_layer() {
  nn::ModelConfig config;
  config.dim = 768;
  config.hidden = 2048;
  config.heads = 12;
  config.seq = 512;
  return config;
}

}  // namespace anemone::test

// The trainable tensors of a layer. A matrix starts uniform within one over the root of the numbers
// it sums, so that sums are about as large as what goes into them.
#include <cmath>

#include "anemone/nn/kernels.h"

namespace anemone::nn {

std::vector<ParameterSpec> layer_parameters(const ModelConfig& config, const std::string& prefix) {
  const std::int64_t dim = config.dim, hidden = config.hidden;
  const auto matrix = [&](const char* name, std::int64_t rows, std::int64_t columns) {
    const double scale = 1 / std::sqrt(static_cast<double>(columns));
    return ParameterSpec{prefix + name, {rows, columns}, Init::uniform, scale, /*decay=*/true};
  };
  const auto norm = [&](const char* name) {
    return ParameterSpec{prefix + name, {dim}, Init::ones, 1, /*decay=*/false};
  };
  return {matrix("wq", config.q_dim(), dim),
          matrix("wk", config.kv_dim(), dim),
          matrix("wv", config.kv_dim(), dim),
          matrix("wo", dim, config.q_dim()),
          matrix("w1", hidden, dim),
          matrix("w2", dim, hidden),
          matrix("w3", hidden, dim),
          norm("norm1"),
          norm("norm2")};
}

}  // namespace anemone::nn

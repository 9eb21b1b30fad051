// The trainable tensors of a layer. The initial scales are those of the program this one replaces,
// which gives w1 and w3 the scale of w2 and the other way round; kept, so that its numbers can be
// compared.
#include <cmath>

#include "anemone/nn/kernels.h"

namespace anemone::nn {

std::vector<ParameterSpec> layer_parameters(const ModelConfig& config, const std::string& prefix) {
  const std::int64_t dim = config.dim, hidden = config.hidden;
  const double by_dim = 1 / std::sqrt(static_cast<double>(dim));
  const double by_hidden = 1 / std::sqrt(static_cast<double>(hidden));
  const auto matrix = [&](const char* name, std::int64_t rows, std::int64_t columns, double scale) {
    return ParameterSpec{prefix + name, {rows, columns}, Init::uniform, scale, /*decay=*/true};
  };
  const auto norm = [&](const char* name) {
    return ParameterSpec{prefix + name, {dim}, Init::ones, 1, /*decay=*/false};
  };
  return {matrix("wq", config.q_dim(), dim, by_dim),
          matrix("wk", config.kv_dim(), dim, by_dim),
          matrix("wv", config.kv_dim(), dim, by_dim),
          matrix("wo", dim, config.q_dim(), by_dim),
          matrix("w1", hidden, dim, by_hidden),
          matrix("w2", dim, hidden, by_dim),
          matrix("w3", hidden, dim, by_hidden),
          norm("norm1"),
          norm("norm2")};
}

}  // namespace anemone::nn

// The trainable tensors of a model.
//
// Layers by themselves: a matrix starts uniform within one over the root of the numbers it sums, so
// that sums are about as large as what goes into them. In a language model matrices start normal
// with one small deviation, as usual since GPT-2: what each block adds to the residual stream is
// smaller still, so that the stream does not grow with the number of layers.
#include <fmt/format.h>

#include <cmath>

#include "anemone/nn/kernels.h"
#include "anemone/nn/language_model.h"

namespace anemone::nn {
namespace {

constexpr double kDeviation = 0.02;

ParameterSpec matrix(const ModelConfig& config, std::string name, std::int64_t rows,
                     std::int64_t columns, bool into_residual) {
  ParameterSpec spec{std::move(name), {rows, columns}};
  if (!config.is_language_model()) {
    spec.init_scale = 1 / std::sqrt(static_cast<double>(columns));
    return spec;
  }
  spec.init = Init::normal;
  // Two blocks a layer add to the stream.
  const auto blocks = static_cast<double>(2 * config.layers);
  spec.init_scale = into_residual ? kDeviation / std::sqrt(blocks) : kDeviation;
  return spec;
}

ParameterSpec norm(const ModelConfig& config, std::string name) {
  return {std::move(name), {config.dim}, Init::ones, 1, /*decay=*/false};
}

}  // namespace

std::string layer_prefix(std::int64_t layer) { return fmt::format("l{}.", layer); }

std::vector<ParameterSpec> layer_parameters(const ModelConfig& config, const std::string& prefix) {
  const std::int64_t dim = config.dim, hidden = config.hidden;
  const std::int64_t q_dim = config.q_dim(), kv_dim = config.kv_dim();
  return {matrix(config, prefix + "wq", q_dim, dim, false),
          matrix(config, prefix + "wk", kv_dim, dim, false),
          matrix(config, prefix + "wv", kv_dim, dim, false),
          matrix(config, prefix + "wo", dim, q_dim, true),
          matrix(config, prefix + "w1", hidden, dim, false),
          matrix(config, prefix + "w2", dim, hidden, true),
          matrix(config, prefix + "w3", hidden, dim, false),
          norm(config, prefix + "norm1"),
          norm(config, prefix + "norm2")};
}

std::vector<ParameterSpec> model_parameters(const ModelConfig& given) {
  ModelConfig config = given;
  config.resolve();
  std::vector<ParameterSpec> list;
  if (config.is_language_model()) {
    list.push_back(
        {"embedding", {config.vocab, config.dim}, Init::normal, kDeviation, /*decay=*/false});
  }
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    for (ParameterSpec& spec : layer_parameters(config, layer_prefix(layer)))
      list.push_back(std::move(spec));
  }
  if (!config.is_language_model()) return list;
  list.push_back(norm(config, "final_norm"));
  if (!config.tied) list.push_back(matrix(config, "classifier", config.vocab, config.dim, false));
  return list;
}

std::string_view parameter_part(const ParameterSpec& parameter) {
  const std::string_view name = parameter.name;
  if (name == "embedding") return "embedding";
  if (name == "classifier") return "classifier";
  const std::string_view last = name.substr(name.rfind('.') + 1);
  if (last == "wq" || last == "wk" || last == "wv" || last == "wo") return "attention";
  return last == "w1" || last == "w2" || last == "w3" ? "feed-forward" : "norms";
}

}  // namespace anemone::nn

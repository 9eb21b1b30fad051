// Ports and weights of a kernel under construction: names and shapes come from the
// list of weights it may use.
#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/nn/blocks.h"
#include "anemone/nn/kernels.h"

namespace anemone::nn {

std::vector<KernelWeight> layer_weights(const ModelConfig& config, const std::string& prefix) {
  std::vector<KernelWeight> weights;
  for (const ParameterSpec& spec : layer_parameters(config, prefix))
    weights.push_back({spec.name.substr(prefix.size()), spec.name, spec.shape});
  return weights;
}

KernelBuilder::KernelBuilder(mil::Program& program, const ModelConfig& model,
                             std::vector<KernelWeight> available, WeightForm weights)
    : b(program),
      config(model),
      norm_eps(round_to(model.dtype, model.norm_eps)),
      available_(std::move(available)),
      weights_(weights) {}

mil::Value KernelBuilder::input(const std::string& name, std::int64_t channels) {
  return b.input(name, mil::Type::tensor(config.dtype, {1, channels, 1, config.seq}));
}

mil::Value KernelBuilder::position_input(const char* name) {
  return b.input(name, mil::Type::tensor(DType::fp32, {1, 1, 1, config.seq}));
}

mil::Value KernelBuilder::scalar_input(const char* name) {
  return b.input(name, mil::Type::tensor(DType::fp32, {1, 1, 1, 1}));
}

const KernelWeight& KernelBuilder::weight(const char* name) const {
  for (const KernelWeight& weight : available_) {
    if (weight.local == name) return weight;
  }
  ANEMONE_CHECK(false, name);
  return available_.front();
}

std::int64_t KernelBuilder::rows(const char* name) const { return weight(name).shape[0]; }

mil::Value KernelBuilder::norm_weight(const char* name) {
  const KernelWeight& norm = weight(name);
  const mil::Type type = mil::Type::tensor(config.dtype, {1, norm.shape[0], 1, 1});
  return weights_ == WeightForm::inputs ? b.input(name, type)
                                        : b.weight({.name = norm.name}, type, name);
}

// [OC, IC, 1, 1] or, transposed, [IC, OC, 1, 1]; as an input always [1, 1, OC, IC], so that forward
// and backward kernels can read the same memory.
mil::Value KernelBuilder::matrix(const char* name, bool transposed) {
  const KernelWeight& given = weight(name);
  const std::int64_t rows = given.shape[0], columns = given.shape[1];
  if (weights_ == WeightForm::inputs)
    return b.input(name, mil::Type::tensor(config.dtype, {1, 1, rows, columns}));
  const Shape shape = transposed ? Shape{columns, rows, 1, 1} : Shape{rows, columns, 1, 1};
  return b.weight({.name = given.name, .transposed = transposed},
                  mil::Type::tensor(config.dtype, shape),
                  transposed ? std::string(name) + "_t" : std::string(name));
}

mil::Value KernelBuilder::linear(mil::Value x, const char* name) {
  const mil::Value weight = matrix(name, /*transposed=*/false);
  return weights_ == WeightForm::inputs ? linear_product(b, x, weight, /*transposed=*/false)
                                        : nn::linear(b, x, weight);
}

mil::Value KernelBuilder::linear_transposed(mil::Value dy, const char* name) {
  const mil::Value weight = matrix(name, /*transposed=*/true);
  return weights_ == WeightForm::inputs ? linear_product(b, dy, weight, /*transposed=*/true)
                                        : nn::linear(b, dy, weight);
}

void KernelBuilder::output(mil::Value value, const char* name) { b.output(value, name); }

}  // namespace anemone::nn

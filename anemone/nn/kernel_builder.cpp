// Ports and weights of a kernel under construction: names and shapes come from the layer's
// parameter list.
#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/nn/blocks.h"
#include "anemone/nn/kernels.h"

namespace anemone::nn {

KernelBuilder::KernelBuilder(mil::Program& program, const ModelConfig& model, std::string prefix,
                             WeightForm weights)
    : b(program),
      config(model),
      norm_eps(round_to(model.dtype, model.norm_eps)),
      prefix_(std::move(prefix)),
      weights_(weights),
      parameters_(layer_parameters(model, prefix_)) {}

mil::Value KernelBuilder::input(const char* name, std::int64_t channels) {
  return b.input(name, mil::Type::tensor(config.dtype, {1, channels, 1, config.seq}));
}

mil::Value KernelBuilder::scalar_input(const char* name) {
  return b.input(name, mil::Type::tensor(DType::fp32, {1, 1, 1, 1}));
}

const ParameterSpec& KernelBuilder::parameter(const char* name) const {
  for (const ParameterSpec& spec : parameters_) {
    if (spec.name == prefix_ + name) return spec;
  }
  ANEMONE_CHECK(false, name);
  return parameters_.front();
}

mil::Value KernelBuilder::norm_weight(const char* name) {
  const ParameterSpec& spec = parameter(name);
  const mil::Type type = mil::Type::tensor(config.dtype, {1, spec.shape[0], 1, 1});
  return weights_ == WeightForm::inputs ? b.input(name, type)
                                        : b.weight({.name = spec.name}, type, name);
}

// [OC, IC, 1, 1] or, transposed, [IC, OC, 1, 1]; as an input always [1, 1, OC, IC], so that forward
// and backward kernels can read the same memory.
mil::Value KernelBuilder::matrix(const char* name, bool transposed) {
  const ParameterSpec& spec = parameter(name);
  const std::int64_t rows = spec.shape[0], columns = spec.shape[1];
  if (weights_ == WeightForm::inputs)
    return b.input(name, mil::Type::tensor(config.dtype, {1, 1, rows, columns}));
  const Shape shape = transposed ? Shape{columns, rows, 1, 1} : Shape{rows, columns, 1, 1};
  return b.weight({.name = spec.name, .transposed = transposed},
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

// Ports and weights of a kernel under construction: names and shapes come from the layer's
// parameter list.
#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/nn/kernels.h"

namespace anemone::nn {

KernelBuilder::KernelBuilder(mil::Program& program, const ModelConfig& model, std::string prefix)
    : b(program),
      config(model),
      norm_eps(round_to(model.dtype, model.norm_eps)),
      prefix_(std::move(prefix)),
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

mil::Value KernelBuilder::weight(const char* name) {
  const ParameterSpec& spec = parameter(name);
  const Shape shape = spec.shape.rank() == 1 ? Shape{1, spec.shape[0], 1, 1}
                                             : Shape{spec.shape[0], spec.shape[1], 1, 1};
  return b.weight({.name = spec.name}, mil::Type::tensor(config.dtype, shape), name);
}

mil::Value KernelBuilder::transposed_weight(const char* name) {
  const ParameterSpec& spec = parameter(name);
  const Shape shape = {spec.shape[1], spec.shape[0], 1, 1};
  return b.weight({.name = spec.name, .transposed = true}, mil::Type::tensor(config.dtype, shape),
                  std::string(name) + "_t");
}

void KernelBuilder::output(mil::Value value, const char* name) { b.output(value, name); }

}  // namespace anemone::nn

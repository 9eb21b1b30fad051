// Checks of configs and tensors that come from files.
#include "anemone/model/tensor_list.h"

#include <fmt/format.h>

#include <cstring>

#include "anemone/nn/language_model.h"

namespace anemone::model {
namespace {

using anemone::to_float;
float to_float(float value) { return value; }

// `bytes` may lie at any address.
template <class T>
std::vector<float> widened(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof value);
    values[i] = to_float(value);
  }
  return values;
}

}  // namespace

void check_config(nn::ModelConfig& config, const std::string& name) {
  if (config.vocab == 0) throw Error("a vocabulary of 0 tokens", name, "a language model");
  try {
    config.resolve();
  } catch (const Error& error) {
    throw Error(error.problem(), name + ": " + error.where(), error.expected());
  }
}

bool is_weight_type(DType type) {
  return type == DType::fp32 || type == DType::fp16 || type == DType::bf16;
}

TensorList::TensorList(const nn::ModelConfig& config, const std::vector<NamedTensor>& tensors,
                       const std::string& name) {
  for (const NamedTensor& named : tensors) {
    if (!tensors_.emplace(named.name, named.tensor).second)
      throw Error("there are two tensors " + named.name, name);
  }
  std::size_t wanted = 0;
  for (const nn::ParameterSpec& spec : nn::model_parameters(config)) {
    const auto found = tensors_.find(spec.name);
    if (found == tensors_.end()) throw Error("there is no tensor " + spec.name, name);
    const TensorView& tensor = found->second;
    if (tensor.shape != spec.shape || !is_weight_type(tensor.dtype))
      throw Error(fmt::format("tensor {} is {} {}", spec.name, dtype_name(tensor.dtype),
                              tensor.shape.to_string()),
                  name, fmt::format("{} in fp32, fp16 or bf16", spec.shape.to_string()));
    ++wanted;
  }
  if (wanted == tensors_.size()) return;
  for (const nn::ParameterSpec& spec : nn::model_parameters(config)) tensors_.erase(spec.name);
  throw Error("the model has no parameter " + tensors_.begin()->first, name);
}

std::vector<float> to_fp32(const TensorView& tensor) {
  switch (tensor.dtype) {
    case DType::fp16:
      return widened<f16>(tensor.data);
    case DType::bf16:
      return widened<bf16>(tensor.data);
    default:
      return widened<float>(tensor.data);
  }
}

std::int64_t count_parameters(const ModelFile& file) {
  std::int64_t count = 0;
  for (const NamedTensor& named : file.tensors) count += named.tensor.shape.elements();
  return count;
}

std::string describe(const std::string& format, const ModelFile& file) {
  return fmt::format("{}, {:.2f} M parameters", format,
                     static_cast<double>(count_parameters(file)) / 1e6);
}

}  // namespace anemone::model

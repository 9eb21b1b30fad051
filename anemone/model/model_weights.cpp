// Tensors of a file to a WeightStore.
#include "anemone/model/model_weights.h"

#include "anemone/model/tensor_list.h"

namespace anemone::model {

ModelWeights::ModelWeights(const ModelFile& file) : memory_(file.memory) {
  widened_.reserve(file.tensors.size());
  for (const NamedTensor& named : file.tensors) {
    const TensorView& tensor = named.tensor;
    const bool aligned = reinterpret_cast<std::uintptr_t>(tensor.data.data()) % alignof(float) == 0;
    if (tensor.dtype == DType::fp32 && aligned) {
      const auto* values = reinterpret_cast<const float*>(tensor.data.data());
      store_.add(named.name, tensor.shape, {values, tensor.data.size() / sizeof(float)});
    } else {
      store_.add(named.name, tensor.shape, widened_.emplace_back(to_fp32(tensor)));
    }
  }
}

}  // namespace anemone::model

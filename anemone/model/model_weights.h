// The weights of a model file as programs refer to them: a WeightStore.
#pragma once

#include <memory>
#include <vector>

#include "anemone/mil/weight_store.h"
#include "anemone/model/model_file.h"

namespace anemone::model {

class ModelWeights {
 public:
  // fp32 tensors are used where the file has them (mapped, not copied); others are widened.
  explicit ModelWeights(const ModelFile& file);
  const mil::WeightStore& store() const { return store_; }

 private:
  std::shared_ptr<const void> memory_;
  std::vector<std::vector<float>> widened_;
  mil::WeightStore store_;
};

}  // namespace anemone::model

// What readers and writers of model files share: the tensors of a model by name, checked against
// its config.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "anemone/model/model_file.h"

namespace anemone::model {

// Fills in what is 0 and throws Error, with `name` in front, for a shape that cannot be.
void check_config(nn::ModelConfig& config, const std::string& name);

// Every parameter of the config once, with its shape, in fp32, fp16 or bf16.
class TensorList {
 public:
  // Throws Error, with `name` in it, for what is missing, too much or of another shape.
  TensorList(const nn::ModelConfig& config, const std::vector<NamedTensor>& tensors,
             const std::string& name);
  const TensorView& get(const std::string& parameter) const { return tensors_.at(parameter); }

 private:
  std::map<std::string, TensorView> tensors_;
};

bool is_weight_type(DType type);  // fp32, fp16 or bf16
std::vector<float> to_fp32(const TensorView& tensor);
std::int64_t count_parameters(const ModelFile& file);
// "FORMAT, 0.23 M parameters"
std::string describe(const std::string& format, const ModelFile& file);

}  // namespace anemone::model

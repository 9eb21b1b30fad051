// A small language model with random weights for tests of files and of generation.
#pragma once

#include <string>
#include <vector>

#include "anemone/model/model_file.h"
#include "anemone/nn/model_config.h"

namespace anemone::test {

// Two layers, three query heads to a key/value head, a vocabulary of 19.
nn::ModelConfig small_config(nn::Rope rope, bool tied);

// Values of every parameter, the same for every call with the same seed.
class SmallModel {
 public:
  explicit SmallModel(const nn::ModelConfig& config, unsigned seed = 1);
  const nn::ModelConfig& config() const { return config_; }
  const std::vector<NamedTensor>& tensors() const { return tensors_; }

 private:
  nn::ModelConfig config_;
  std::vector<std::vector<float>> values_;
  std::vector<NamedTensor> tensors_;
};

// The bytes of every tensor are the same.
void expect_same_tensors(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b);

// What `call` says when it throws an Error; empty if it does not.
template <class Call>
std::string complaint(Call call) {
  try {
    call();
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace anemone::test

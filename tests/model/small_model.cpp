// Random weights about as large as a trained model's.
#include "tests/model/small_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "anemone/nn/language_model.h"

namespace anemone::test {

nn::ModelConfig small_config(nn::Rope rope, bool tied) {
  nn::ModelConfig config;
  config.dim = 48;
  config.hidden = 40;
  config.layers = 2;
  config.heads = 6;
  config.kv_heads = 2;
  config.vocab = 19;
  config.seq = 12;
  config.rope = rope;
  config.tied = tied;
  config.dtype = DType::fp32;
  config.resolve();
  return config;
}

SmallModel::SmallModel(const nn::ModelConfig& config, unsigned seed) : config_(config) {
  std::minstd_rand random(seed);
  for (const nn::ParameterSpec& spec : nn::model_parameters(config_)) {
    std::vector<float>& values = values_.emplace_back();
    const bool norm = spec.shape.rank() == 1;
    const double scale =
        norm ? 0.3 : 1.7 / std::sqrt(static_cast<double>(spec.shape[spec.shape.rank() - 1]));
    for (std::int64_t i = 0; i < spec.shape.elements(); ++i) {
      const double unit = static_cast<double>(random()) / std::minstd_rand::max() * 2 - 1;
      values.push_back(static_cast<float>((norm ? 1 : 0) + scale * unit));
    }
  }
  std::size_t at = 0;
  for (const nn::ParameterSpec& spec : nn::model_parameters(config_))
    tensors_.push_back(
        {spec.name, {DType::fp32, spec.shape, std::as_bytes(std::span(values_[at++]))}});
}

void expect_same_tensors(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].tensor.shape, b[i].tensor.shape) << a[i].name;
    const auto x = a[i].tensor.data, y = b[i].tensor.data;
    EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end())) << a[i].name;
  }
}

}  // namespace anemone::test

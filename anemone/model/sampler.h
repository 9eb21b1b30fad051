// Chooses the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace anemone::model {

struct SamplerOptions {
  double temperature = 1;  // 0: greedy, the token with the largest logit (the first of equals)
  std::int64_t top_k = 0;  // only the k most probable; 0 = all
  double top_p = 1;        // only the most probable whose probabilities sum to p
  std::uint64_t seed = 42;
};

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);  // throws Error for values out of range
  std::uint32_t sample(std::span<const float> logits);

 private:
  SamplerOptions options_;
  std::uint64_t state_;
  std::vector<std::pair<float, std::uint32_t>> candidates_;
};

}  // namespace anemone::model

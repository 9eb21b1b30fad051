// Chooses the next token from logits.
//
// The same logits, options and seed give the same tokens on every machine: no function of the
// system's mathematics library is asked.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "anemone/base/random.h"

namespace anemone::model {

// What `generate` and the samples of a training run use unless told otherwise.
inline constexpr double kUsualTopP = 0.9;

struct SamplerOptions {
  double temperature = 1;  // 0: greedy, the token with the largest logit (the first of equals)
  std::int64_t top_k = 0;  // only the k most probable; 0 = all
  double top_p = 1;        // only the most probable whose probabilities sum to p
  std::uint64_t seed = 42;
};

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);  // throws Error for values out of range
  // Throws Error when no logit is a number.
  std::uint32_t sample(std::span<const float> logits);

 private:
  struct Candidate {
    float logit;
    std::uint32_t id;
    double weight;  // e^((logit - largest) / temperature)
  };
  static bool is_before(const Candidate& a, const Candidate& b);
  void keep_top_k();
  void keep_top_p();

  SamplerOptions options_;
  SplitMix64 random_;
  std::vector<Candidate> candidates_;
};

}  // namespace anemone::model

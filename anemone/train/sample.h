// What one micro-step learns from: a pair of activations, or a sequence of tokens.
#pragma once

#include <cstdint>
#include <vector>

namespace anemone::train {

struct Sample {
  // A target that does not count: the padding of a sequence that is shorter than the model's.
  static constexpr std::uint32_t kNoToken = 0xffffffff;

  std::vector<float> x, target;       // [dim, seq], row-major; empty for language models
  std::vector<std::uint32_t> tokens;  // seq + 1: token s predicts token s + 1
};

}  // namespace anemone::train

// A small checkpoint whose every byte follows from its step and a seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "anemone/train/checkpoint.h"

namespace anemone::train {

class SampleCheckpoint {
 public:
  explicit SampleCheckpoint(std::uint64_t step, std::uint64_t seed = 0);

  // Refers to this object's memory.
  CheckpointContents contents() const;
  // What `loaded` has otherwise; empty = the same.
  std::string difference(const LoadedCheckpoint& loaded) const;

 private:
  std::uint64_t step_;
  std::string state_;
  std::vector<float> weights_, moments_;
};

}  // namespace anemone::train

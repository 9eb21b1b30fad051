// Where a step adds its gradients: the parameters' own block of them, or another one of the same
// layout, for steps that run side by side.
#pragma once

#include <span>

#include "anemone/base/error.h"

namespace anemone::train {

class GradientBlock {
 public:
  // `home`: the block that the parts given to at() are parts of; empty where nothing is trained.
  explicit GradientBlock(std::span<float> home) : home_(home), now_(home) {}

  std::span<float> home() const { return home_; }
  void use(std::span<float> block) {  // of home's size
    ANEMONE_CHECK(block.size() == home_.size(), "blocks of gradients have one layout");
    now_ = block;
  }
  // A part of home, in the block that is used now.
  std::span<float> at(std::span<float> part) const {
    if (part.empty()) return part;
    return now_.subspan(static_cast<std::size_t>(part.data() - home_.data()), part.size());
  }

 private:
  std::span<float> home_, now_;
};

}  // namespace anemone::train

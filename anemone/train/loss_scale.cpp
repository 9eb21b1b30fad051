// The rule of dynamic loss scaling.
#include "anemone/train/loss_scale.h"

#include <algorithm>

namespace anemone::train {

bool LossScale::observe(Gradient gradient) {
  if (gradient == Gradient::good) {
    if (dynamic && ++good_updates >= growth_interval) {
      good_updates = 0;
      scale = std::min(scale * 2, kMax);
    }
    return true;
  }
  good_updates = 0;
  if (dynamic)
    scale =
        gradient == Gradient::non_finite ? std::max(scale / 2, kMin) : std::min(scale * 2, kMax);
  return false;
}

}  // namespace anemone::train

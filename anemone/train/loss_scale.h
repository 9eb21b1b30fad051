// Dynamic loss scaling for fp16 gradients. The scale is constant within an update. A non-finite
// gradient discards the update and halves the scale; a gradient of all zeros discards it and
// doubles the scale (there are engines that never make a NaN: they give inf or 0);
// `growth_interval` good updates in a row double it.
#pragma once

#include <cstdint>

namespace anemone::train {

struct LossScale {
  bool dynamic = true;
  double scale = 65536;
  std::int64_t growth_interval = 200;
  std::int64_t good_updates = 0;
  static constexpr double kMin = 1.0 / 16777216, kMax = 16777216;

  enum class Gradient : std::uint8_t { good, non_finite, all_zero };
  // Takes note of an update's gradient; true if the update is to be applied.
  bool observe(Gradient gradient);
};

}  // namespace anemone::train

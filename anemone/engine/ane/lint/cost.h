// What a function costs, estimated from its shapes: work, traffic and memory on the chip.
#pragma once

#include "anemone/engine/ane/lint/view.h"

namespace anemone::engine::ane::lint {

struct Cost {
  double flops = 0;           // of convolutions and products, 2 per multiply-add
  double port_bytes = 0;      // inputs and outputs
  double constant_bytes = 0;  // whatever the host bakes in
  // The largest sum of values that are alive at once, with the constants of the operation at work;
  // views count as the tensor they are of.
  double peak_bytes = 0;
  int computing_ops = 0;  // that do not only move
};
Cost estimate(const FunctionView& function);

// Seconds of arithmetic at the target's best published rate.
double busy_seconds(const Cost& cost, const Target& target);

}  // namespace anemone::engine::ane::lint

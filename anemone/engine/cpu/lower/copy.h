// Copies that placement could not avoid.
#pragma once

#include "anemone/base/cpu_features.h"
#include "anemone/engine/cpu/placement.h"
#include "anemone/engine/cpu/step.h"
#include "anemone/mil/ir.h"

namespace anemone::cpu {

Step lower_copy(const mil::Function& function, const PlacedCopy& copy, const CpuFeatures& features);

}  // namespace anemone::cpu

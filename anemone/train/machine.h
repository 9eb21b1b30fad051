// What a run was made with, for reports, checkpoints and metrics.
#pragma once

#include <string>

#include "anemone/compute/peak.h"

namespace anemone::train {

std::string best_isa();    // the best instruction set in use: "avx512"
std::string build_text();  // version, commit, build type and compiler

// The rate that a run's products could reach: fp32 programs cannot use the bf16 units.
double usable_peak_flops(const compute::Peak& peak, const std::string& precision);

}  // namespace anemone::train

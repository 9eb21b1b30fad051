// What the real compiler refuses, as far as two or more sources agree on it (facts of the project's
// research; docs/lint.md numbers them). Lint knows more rules; these are the ones that a driver or
// a legalization must never break.
#pragma once

#include <set>
#include <string>

#include "anemone/mil/ir.h"

namespace anemone::fake_ane {

// Throws Error naming the rule broken. `files`: names of the blob files in the weight dictionary
// ("@model_path/weights/w.bin").
void check_rules(const mil::Program& program, const std::set<std::string>& files);

}  // namespace anemone::fake_ane

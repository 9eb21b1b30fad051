// A legalized program as the driver would hand it over: its text parsed again and its blob files
// read back from a folder, evaluated by the reference meaning, by the names of the original.
#pragma once

#include <string>
#include <string_view>

#include "anemone/engine/ane/legalize.h"
#include "anemone/mil/evaluate.h"

namespace anemone::test {

// `weights`: what references to a store mean; may be null.
mil::TensorMap<double> evaluate_legal(const engine::ane::LegalizedProgram& legal,
                                      std::string_view function,
                                      const mil::TensorMap<double>& inputs,
                                      const mil::WeightStore* weights);

// Random numbers in [low, high] for every input, exact in fp16.
mil::TensorMap<double> random_inputs(const mil::Function& function, double low, double high);

}  // namespace anemone::test

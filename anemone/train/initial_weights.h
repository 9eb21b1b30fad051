// The weights a run starts from, wherever they are needed: training, export.
#pragma once

#include <filesystem>

#include "anemone/train/parameters.h"
#include "anemone/train/run_config.h"

namespace anemone::train {

// Those of `init`, a checkpoint folder or a safetensors file; when it is empty, those that the
// config's data source and seed give. Throws Error saying what is missing or differs.
void set_initial_weights(ParameterList& parameters, const RunConfig& config,
                         const std::filesystem::path& init = {});

}  // namespace anemone::train

// The weights a run starts from, wherever they are needed: training, export.
#pragma once

#include <filesystem>

#include "anemone/train/parameters.h"
#include "anemone/train/run_config.h"

namespace anemone::train {

// By its name: is it a model with its shape (a run's folder, a checkpoint, a llama2.c file, a
// Hugging Face folder), and not the weights alone of a .safetensors file?
bool is_whole_model(const std::filesystem::path& init);

// Those of `init`, a whole model, a checkpoint of layers or a safetensors file; when it is empty,
// those that the config's data source and seed give. Throws Error saying what is missing or
// differs: of a whole model also what tensors do not show (heads, angles, epsilon).
void set_initial_weights(ParameterList& parameters, const RunConfig& config,
                         const std::filesystem::path& init = {});

}  // namespace anemone::train

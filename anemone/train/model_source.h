// A trained model from wherever there is one: a llama2.c file, a Hugging Face folder, a run folder
// or a checkpoint.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "anemone/nn/model_config.h"
#include "anemone/train/parameters.h"

namespace anemone::train {

struct LoadedModel {
  nn::ModelConfig config;                     // of a language model
  std::unique_ptr<ParameterList> parameters;  // values only
  std::string tokenizer;                      // what made a run's tokens, where that is known
  std::string description;                    // "llama2.c, 0.26 M parameters"
};

// Throws Error for what is none of these, for a damaged one, and for a run of layers alone.
LoadedModel load_model(const std::filesystem::path& path);

}  // namespace anemone::train

// See initial_weights.h.
#include "anemone/train/initial_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/train/checkpoint.h"
#include "anemone/train/data_source.h"
#include "anemone/train/model_source.h"

namespace anemone::train {
namespace {

// What may differ from the model that the weights are of: how long sequences are, and how many.
bool is_of_training(const std::string& key) { return key == "model.seq" || key == "model.batch"; }

void check_shape(const nn::ModelConfig& found, const nn::ModelConfig& wanted,
                 const std::string& where) {
  const std::vector<ConfigKey> theirs = config_keys({.model = found});
  const std::vector<ConfigKey> ours = config_keys({.model = wanted});
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].value == theirs[i].value || is_of_training(ours[i].name)) continue;
    throw Error(fmt::format("this model has {} = {}", theirs[i].name, theirs[i].value), where,
                fmt::format("{}, as the run's config says", ours[i].value));
  }
}

void take_weights(ParameterList& parameters, const RunConfig& config,
                  const std::filesystem::path& init) {
  const LoadedModel model = load_model(init);
  check_shape(model.config, config.model, init.string());
  const std::span<const float> values = model.parameters->values();
  std::copy(values.begin(), values.end(), parameters.values().begin());
}

void set_by_config(ParameterList& parameters, const RunConfig& config) {
  const auto seed = static_cast<std::uint32_t>(config.train.seed);
  if (wants_original_weights(config))
    initialize_original(parameters, seed);
  else
    initialize_by_specs(parameters, seed);
}

}  // namespace

bool is_whole_model(const std::filesystem::path& init) {
  return init.extension() != ".safetensors";
}

void set_initial_weights(ParameterList& parameters, const RunConfig& config,
                         const std::filesystem::path& init) {
  if (init.empty()) {
    set_by_config(parameters, config);
  } else if (!is_whole_model(init) ||
             (!config.model.is_language_model() && std::filesystem::is_regular_file(init))) {
    parameters.load_values(SafetensorsReader(init));
  } else if (config.model.is_language_model()) {
    take_weights(parameters, config, init);
  } else {
    const auto checkpoint = find_checkpoint(init);
    parameters.load_values(CheckpointStore::load_given(checkpoint.value_or(init)).tensors);
  }
}

}  // namespace anemone::train

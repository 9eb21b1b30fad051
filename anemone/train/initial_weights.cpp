// See initial_weights.h.
#include "anemone/train/initial_weights.h"

#include "anemone/train/checkpoint.h"
#include "anemone/train/data_source.h"

namespace anemone::train {

void set_initial_weights(ParameterList& parameters, const RunConfig& config,
                         const std::filesystem::path& init) {
  if (const auto checkpoint = find_checkpoint(init); checkpoint || is_directory(init)) {
    parameters.load_values(CheckpointStore::load_given(checkpoint.value_or(init)).tensors);
  } else if (!init.empty()) {
    parameters.load_values(SafetensorsReader(init));
  } else if (wants_original_weights(config)) {
    initialize_original(parameters, static_cast<std::uint32_t>(config.train.seed));
  } else {
    initialize_by_specs(parameters, static_cast<std::uint32_t>(config.train.seed));
  }
}

}  // namespace anemone::train

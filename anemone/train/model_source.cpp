// See model_source.h.
#include "anemone/train/model_source.h"

#include <fmt/format.h>

#include "anemone/base/error.h"
#include "anemone/model/model_file.h"
#include "anemone/nn/language_model.h"
#include "anemone/train/checkpoint.h"
#include "anemone/train/run_config.h"
#include "anemone/train/trainer_state.h"

namespace anemone::train {
namespace {

std::unique_ptr<ParameterList> make_values(const nn::ModelConfig& config) {
  return std::make_unique<ParameterList>(nn::model_parameters(config), Holds::values);
}

// A run on files of ids says what made them only if its config names a vocabulary.
std::string tokenizer_of(const RunConfig& run) {
  constexpr std::int64_t kBytes = 256;
  const bool is_known = run.data.source == "text" || run.data.tokenizer != "bytes";
  return is_known || run.model.vocab == kBytes ? run.data.tokenizer : "";
}

LoadedModel load_checkpoint(const std::filesystem::path& directory) {
  const LoadedCheckpoint checkpoint = CheckpointStore::load_given(directory);
  const std::string where = (directory / "state.json").string();
  const TrainerState state = parse_trainer_state(checkpoint.state_json, where);
  LoadedModel model;
  const RunConfig run = parse_run_config(state.config, where, {});
  model.config = run.model;
  model.tokenizer = tokenizer_of(run);
  if (!model.config.is_language_model())
    throw Error("this run trains layers alone, no language model", directory.string(),
                "a run with model.vocab");
  model.parameters = make_values(model.config);
  model.parameters->load_values(checkpoint.tensors);
  model.description = fmt::format("checkpoint of step {}, {:.2f} M parameters", state.step,
                                  static_cast<double>(model.parameters->count()) / 1e6);
  return model;
}

}  // namespace

LoadedModel load_model(const std::filesystem::path& path) {
  if (const auto checkpoint = find_checkpoint(path)) return load_checkpoint(*checkpoint);
  const model::ModelFile file = model::read_model(path);
  LoadedModel model;
  model.config = file.config;
  model.parameters = make_values(model.config);
  model.parameters->load_values(file.tensors, path.string());
  model.description = file.description;
  return model;
}

}  // namespace anemone::train

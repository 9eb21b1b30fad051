// A checkpoint as a ModelFile; all else is one already.
#include "anemone/cli/model_argument.h"

#include "anemone/train/checkpoint.h"
#include "anemone/train/model_source.h"

namespace anemone::cli {

model::ModelFile read_model_argument(const std::filesystem::path& path) {
  if (!train::find_checkpoint(path).has_value()) return model::read_model(path);
  const auto loaded = std::make_shared<train::LoadedModel>(train::load_model(path));
  model::ModelFile file;
  file.config = loaded->config;
  file.description = loaded->description;
  file.tokenizer = loaded->tokenizer;
  for (const train::Parameter& parameter : loaded->parameters->all()) {
    file.tensors.push_back({parameter.spec.name,
                            {DType::fp32, parameter.spec.shape,
                             std::as_bytes(std::span<const float>(parameter.value))}});
  }
  file.memory = loaded;
  return file;
}

}  // namespace anemone::cli

// Which format a path is in.
#include "anemone/model/model_file.h"

#include "anemone/base/file.h"
#include "anemone/model/find_tokenizer.h"
#include "anemone/model/hugging_face.h"
#include "anemone/model/llama2c_file.h"

namespace anemone::model {

namespace fs = std::filesystem;

namespace {

constexpr const char* kForms =
    "a run folder or a checkpoint, a .bin file of llama2.c, or a folder with config.json, as "
    "Hugging Face's llama";

}  // namespace

bool looks_like_model(const fs::path& path) {
  if (fs::is_directory(path)) return fs::exists(path / "config.json");
  return fs::is_regular_file(path) && path.extension() == ".bin";
}

ModelFile read_model(const fs::path& path) {
  if (!fs::exists(path)) throw Error("there is no such model", path.string(), kForms);
  if (!fs::is_directory(path)) {
    if (!looks_like_model(path))
      throw Error("this file is no model, by its name", path.string(), kForms);
    const auto memory = std::make_shared<MappedFile>(path);
    ModelFile file = parse_llama2c(memory->bytes(), path.string());
    file.memory = memory;
    return file;
  }
  if (!fs::exists(path / "config.json"))
    throw Error("this folder holds no model", path.string(), kForms);
  return read_hugging_face(path);
}

Status write_model(const fs::path& path, ModelFormat format, const nn::ModelConfig& config,
                   const std::vector<NamedTensor>& tensors, const fs::path& tokenizer) {
  // "models/tiny/" is models/tiny.
  const fs::path target = path.has_filename() ? path : path.parent_path();
  const std::string vocabulary = tokenizer.empty() ? "" : read_text_file(tokenizer);
  if (format == ModelFormat::hugging_face)
    return write_hugging_face(target, config, tensors, vocabulary);
  Status status = write_llama2c(target, config, tensors);
  if (status.ok() && !vocabulary.empty())
    status = write_file_atomically(tokenizer_beside(target), vocabulary);
  return status;
}

}  // namespace anemone::model

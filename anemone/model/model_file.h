// Trained models as files: what other software wrote and can read.
//
//   llama2.c   one .bin file, legacy layout (docs/models.md)
//   safetensors a folder with config.json and *.safetensors, named as Hugging Face's llama names
//   them
//
// Either is read into the same thing: a ModelConfig, and fp32 (or fp16, bf16) tensors under
// Anemone's names, "embedding", "l0.wq", …, in its layouts. Any bytes are safe input.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/base/safetensors.h"
#include "anemone/nn/model_config.h"

namespace anemone::model {

struct ModelFile {
  nn::ModelConfig config;                   // dtype is left as it is by default
  std::vector<NamedTensor> tensors;         // of every parameter of the config, in its order
  std::shared_ptr<const void> memory = {};  // what the tensors point into
  std::string tokenizer = {};               // "bytes" or a vocabulary, where it is known
  std::string description = {};             // "llama2.c, 0.23 M parameters"
};

enum class ModelFormat : std::uint8_t { llama2c, hugging_face };

// A .bin file, or a folder with config.json. Throws Error saying what is wrong and where.
ModelFile read_model(const std::filesystem::path& path);
// Is it (by its name and kind) something that read_model takes?
bool looks_like_model(const std::filesystem::path& path);

// Writes fp32 tensors under Anemone's names; whole or not at all. A llama2.c file turns pairs of
// neighbouring channels, Hugging Face's turns halves: rows of wq and wk are put in that order, so
// that the logits are the same. `tokenizer`, the file of a vocabulary, is copied to where
// find_tokenizer looks for the model's; empty: there is none to copy.
Status write_model(const std::filesystem::path& path, ModelFormat format,
                   const nn::ModelConfig& config, const std::vector<NamedTensor>& tensors,
                   const std::filesystem::path& tokenizer = {});

}  // namespace anemone::model

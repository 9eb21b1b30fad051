// A llama model as Hugging Face's transformers keep it: a folder with config.json and
// model.safetensors, or several files of tensors and model.safetensors.index.json.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/model/model_file.h"

namespace anemone::model {

// config.json. Throws Error, with `name` in it, for what is no llama, and for variants of it whose
// logits would be others. Any bytes are safe input.
nn::ModelConfig parse_hugging_face_config(std::string_view json, const std::string& name);
std::string hugging_face_config(const nn::ModelConfig& config, DType dtype);

// "model.layers.3.self_attn.q_proj.weight" for "l3.wq".
std::string hugging_face_name(const std::string& parameter);

ModelFile read_hugging_face(const std::filesystem::path& folder);
// The folder must not be there yet. Tensors keep their element types. `vocabulary`: the bytes of a
// tokenizer.bin that belongs to the model, or nothing.
Status write_hugging_face(const std::filesystem::path& folder, const nn::ModelConfig& config,
                          const std::vector<NamedTensor>& tensors,
                          std::string_view vocabulary = {});

}  // namespace anemone::model

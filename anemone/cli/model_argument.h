// The MODEL of a command line: a llama2.c file, a Hugging Face folder, a run folder or a
// checkpoint.
#pragma once

#include <filesystem>

#include "anemone/model/model_file.h"

namespace anemone::cli {

// Throws Error for what is none of these. A file's tensors are mapped, not read.
model::ModelFile read_model_argument(const std::filesystem::path& path);

}  // namespace anemone::cli

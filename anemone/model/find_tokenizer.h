// Which tokenizer a model was trained with: models do not say, but it lies beside them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace anemone::model {

// "bytes" for a vocabulary of 256; else tokenizer.bin or tok<vocab>.bin beside the model (in it,
// where it is a folder). Throws Error naming where it looked.
std::string find_tokenizer(const std::filesystem::path& model, std::int64_t vocab);

}  // namespace anemone::model

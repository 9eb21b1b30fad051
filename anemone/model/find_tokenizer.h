// Which tokenizer belongs to a model: models do not say, but it lies beside them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "anemone/text/tokenizer.h"

namespace anemone::model {

struct TokenizerWish {
  std::filesystem::path model;  // a file or a folder
  std::int64_t vocab = 0;       // the model's
  std::string own = {};         // what a run was trained with, where that is known
  std::string given = {};       // what the user names; empty: the run's, or the one that is found
};

struct FoundTokenizer {
  std::string name;  // "bytes", or a path
  std::unique_ptr<text::Tokenizer> tokenizer;
};

// The tokenizer given, else the run's own, else "bytes" for a vocabulary of 256, else the first of
// `tokenizer_places` that fits. One fits that has as many tokens as the model; a run may have been
// trained with one of fewer, which fits too. Throws Error naming both numbers and both files, or
// the places looked at.
FoundTokenizer find_tokenizer(const TokenizerWish& wish);

// Are `tokens` as many as the model has, or as the run's own tokenizer (where it still is) has?
bool fits(const TokenizerWish& wish, std::uint64_t tokens);

// Where the vocabulary of a model is looked for, most particular first: for models/m.bin in
// models/m.tokenizer.bin, models/tok<vocab>.bin and models/tokenizer.bin; for a folder in it.
std::vector<std::filesystem::path> tokenizer_places(const std::filesystem::path& model,
                                                    std::int64_t vocab);

// Where a model that is written has its vocabulary: beside a file, models/m.tokenizer.bin; in a
// folder, tokenizer.bin.
std::filesystem::path tokenizer_beside(const std::filesystem::path& file);
inline constexpr const char* kTokenizerFile = "tokenizer.bin";

}  // namespace anemone::model

// Several files of token ids as one long sequence: no id is lost where one file ends and the next
// begins.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "anemone/text/token_file.h"

namespace anemone::text {

// The files that patterns such as "data/train_*.bin" name, sorted within each pattern. Throws Error
// for a pattern that names none.
std::vector<std::filesystem::path> expand_patterns(std::span<const std::string> patterns);

class TokenShards {
 public:
  // Throws as TokenFile does, and where files name different vocabularies: not one tokenizer made
  // them all.
  TokenShards(std::span<const std::filesystem::path> paths, std::uint64_t vocabulary = 0);

  std::uint64_t size() const { return ends_.empty() ? 0 : ends_.back(); }
  std::size_t bytes() const;                                // of the files, mapped
  std::uint64_t vocabulary() const { return vocabulary_; }  // that the files name; 0 = unknown
  std::string hash() const;                                 // of the files' hashes, in their order
  void read(std::uint64_t begin, std::span<TokenId> ids) const;

 private:
  std::vector<TokenFile> files_;
  std::vector<std::uint64_t> ends_;  // where each file ends in the whole
  std::uint64_t vocabulary_ = 0;
};

}  // namespace anemone::text

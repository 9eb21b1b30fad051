// Text files as documents, and documents as a stream of token ids.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/text/tokenizer.h"

namespace anemone::text {

// What stands between the documents of a file, if nothing else is said.
inline constexpr std::string_view kSeparator = "<|endoftext|>";

// The files that are meant by files and folders: a folder is all files below it, in the order of
// their names. Throws Error for a folder without files, and
// for one that cannot be read; a name that is not there stays as it is.
std::vector<std::string> text_files(std::span<const std::string> files_and_folders);

// Cuts texts into documents and encodes them part by part, so that no document needs to be in
// memory twice.
class DocumentEncoder {
 public:
  using Sink = std::function<void(std::span<const TokenId>)>;
  // Without a token that begins a document, and with an empty separator, a text is one document.
  DocumentEncoder(const Tokenizer& tokenizer, std::string separator, Sink sink);

  // `part_done` is called after each part.
  void add(std::string_view text, const std::function<void()>& part_done = {});

  std::uint64_t documents() const { return documents_; }
  std::uint64_t bytes() const { return bytes_; }  // encoded so far

 private:
  void document(std::string_view rest, const std::function<void()>& part_done);

  const Tokenizer& tokenizer_;
  std::string separator_;
  Sink sink_;
  std::vector<TokenId> ids_;
  std::uint64_t documents_ = 0, bytes_ = 0;
};

}  // namespace anemone::text

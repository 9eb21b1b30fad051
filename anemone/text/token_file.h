// Files of token ids, mapped into memory.
//
// Ours: 64 bytes of header, then the ids. All numbers are little-endian.
//
//   0  char[8]   "ANEMTOK1"
//   8  uint32    bytes of an id: 2 or 4
//   12 uint32    0
//   16 uint64    vocabulary: every id is below it; 0 = unknown
//   24 uint64    number of ids
//   32 char[32]  XXH3-128 of the ids' bytes, as hexadecimal digits
//
// Read as they are, too: llm.c's (1,024 bytes of header, int32: 20240520, 1, count for uint16 ids;
// 20240801, 7, count for uint32 ids) and files of nothing but uint16 ids, as llama2.c has them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "anemone/base/file.h"
#include "anemone/text/tokenizer.h"

namespace anemone::text {

class TokenFile {
 public:
  // Throws Error for a file that is damaged (its size or hash is another than its header says), and
  // for an id that is not below the vocabulary: the header's, or `vocabulary` if that is not 0.
  explicit TokenFile(const std::filesystem::path& path, std::uint64_t vocabulary = 0);

  std::uint64_t size() const { return size_; }
  std::size_t bytes() const { return file_.bytes().size(); }  // mapped
  std::uint64_t vocabulary() const { return vocabulary_; }    // 0 = unknown
  // XXH3-128 of the ids' bytes: the header's, or computed.
  std::string hash() const;
  // Ids begin, begin + 1, … of the file; there must be as many.
  void read(std::uint64_t begin, std::span<TokenId> ids) const;

 private:
  void read_header();
  void check(std::uint64_t vocabulary) const;
  TokenId at(std::uint64_t index) const;

  std::filesystem::path path_;
  MappedFile file_;
  std::span<const std::byte> data_;
  unsigned width_ = 2;  // bytes of an id
  std::uint64_t size_ = 0, vocabulary_ = 0;
  std::string hash_;  // empty = the format has none
};

// Writes our format. A file appears under its name when it is whole. Processes that write the same
// file at once do not disturb each other: the last to finish has written it.
class TokenWriter {
 public:
  // uint16 ids if the vocabulary allows it. Throws Error when the file cannot be made.
  TokenWriter(const std::filesystem::path& path, std::uint64_t vocabulary);
  ~TokenWriter();

  void write(std::span<const TokenId> ids);  // each below the vocabulary
  std::uint64_t written() const { return written_; }
  Status finish();

 private:
  std::filesystem::path path_, unfinished_;
  std::uint64_t vocabulary_, written_ = 0;
  unsigned width_;
  ContentHash hash_;
  std::vector<std::byte> buffer_;
  std::unique_ptr<FileWriter> file_;
};

}  // namespace anemone::text

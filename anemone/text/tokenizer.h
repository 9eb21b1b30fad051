// Text to token ids and back.
//
//   const auto tokenizer = load_tokenizer("tokenizer.bin");   // or "bytes"
//   const std::vector<TokenId> ids = tokenizer->encode("Once upon a time");
//   tokenizer->decode(ids) == "Once upon a time"
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace anemone::text {

using TokenId = std::uint32_t;

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::string describe() const = 0;          // "bytes", "BPE, 512 tokens"
  virtual TokenId vocabulary() const = 0;            // every id is below it
  virtual std::optional<TokenId> begin() const = 0;  // what a document begins with, if anything
  virtual std::optional<TokenId> end() const = 0;    // what ends one

  // The ids of one document; the beginning token is the first one where there is one, the end token
  // is left to the caller. Any bytes are taken.
  std::vector<TokenId> encode(std::string_view document) const;
  // The same in parts, for long documents: `first` is true for the one that begins it. A part ends
  // where `cut` says, or with the document.
  virtual void append(std::string_view part, bool first, std::vector<TokenId>& ids) const = 0;
  // Bytes of `rest` that are a part: about `wanted`, or more where it may be cut only later.
  virtual std::size_t cut(std::string_view rest, std::size_t wanted) const = 0;

  // The bytes that `token` adds behind `previous` (a space at the beginning of a document is not
  // part of it). May be half a character: a stream of pieces is UTF-8 as a whole. Throws Error for
  // an id that is not in the vocabulary.
  virtual std::string_view piece(TokenId previous, TokenId token) const = 0;

  std::string decode(std::span<const TokenId> ids) const;
};

// Every byte is a token: 256 of them, no beginning and no end.
std::unique_ptr<Tokenizer> make_byte_tokenizer();

// Byte-pair encoding with a vocabulary in llama2.c's `tokenizer.bin` format: token 1 begins a
// document, 2 ends it, 3 to 258 are the bytes that no other token covers. Throws Error for a file
// that is truncated or no such vocabulary; `name` is for messages.
std::unique_ptr<Tokenizer> make_bpe_tokenizer(std::span<const std::byte> file,
                                              const std::string& name);

// "bytes", or the path of a vocabulary.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& name_or_path);

}  // namespace anemone::text

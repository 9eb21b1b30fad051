// Decoding, the tokenizer of bytes, and finding a tokenizer by name.
#include "anemone/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "anemone/base/error.h"
#include "anemone/base/file.h"

namespace anemone::text {
namespace {

class ByteTokenizer final : public Tokenizer {
 public:
  ByteTokenizer() {
    for (std::size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = static_cast<char>(i);
  }
  std::string describe() const override { return "bytes"; }
  TokenId vocabulary() const override { return static_cast<TokenId>(bytes_.size()); }
  std::optional<TokenId> begin() const override { return {}; }
  std::optional<TokenId> end() const override { return {}; }

  void append(std::string_view part, bool, std::vector<TokenId>& ids) const override {
    for (const char c : part) ids.push_back(static_cast<unsigned char>(c));
  }
  std::size_t cut(std::string_view rest, std::size_t wanted) const override {
    return std::min(rest.size(), wanted);
  }
  std::string_view piece(TokenId, TokenId token) const override {
    if (token >= bytes_.size())
      throw Error("token " + std::to_string(token) + " is no byte", "", "0 to 255");
    return {&bytes_[token], 1};
  }

 private:
  std::array<char, 256> bytes_;
};

}  // namespace

std::vector<TokenId> Tokenizer::encode(std::string_view document) const {
  std::vector<TokenId> ids;
  append(document, /*first=*/true, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  std::string text;
  TokenId previous = vocabulary();  // none
  for (const TokenId id : ids) {
    text += piece(previous, id);
    previous = id;
  }
  return text;
}

std::unique_ptr<Tokenizer> make_byte_tokenizer() { return std::make_unique<ByteTokenizer>(); }

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& name_or_path) {
  if (name_or_path == "bytes") return make_byte_tokenizer();
  if (!std::filesystem::exists(name_or_path))
    throw Error("there is no such tokenizer", name_or_path,
                "\"bytes\" or a file in llama2.c's tokenizer.bin format");
  return make_bpe_tokenizer(MappedFile(name_or_path).bytes(), name_or_path);
}

}  // namespace anemone::text

// The names that llama2.c, its users and `write_model` give to vocabularies.
#include "anemone/model/find_tokenizer.h"

#include <fmt/format.h>

#include "anemone/base/error.h"

namespace anemone::model {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kBytes = 256;

FoundTokenizer load(const std::string& name) { return {name, text::load_tokenizer(name)}; }

std::int64_t tokens_of(const FoundTokenizer& found) {
  return std::int64_t{found.tokenizer->vocabulary()};
}

[[noreturn]] void refuse(const FoundTokenizer& found, const TokenizerWish& wish,
                         const std::string& else_expected = {}) {
  throw Error(fmt::format("this tokenizer has {} tokens", tokens_of(found)), found.name,
              fmt::format("{}, as the model {}{}", wish.vocab, wish.model.string(), else_expected));
}

// The run's own, if it is where the run had it.
FoundTokenizer load_own(const TokenizerWish& wish) {
  if (wish.own.empty() || (wish.own != "bytes" && !fs::exists(wish.own))) return {};
  return load(wish.own);
}

FoundTokenizer given_one(const TokenizerWish& wish) {
  FoundTokenizer found = load(wish.given);
  if (!fits(wish, found.tokenizer->vocabulary())) refuse(found, wish);
  return found;
}

FoundTokenizer one_beside(const TokenizerWish& wish) {
  std::string looked;
  FoundTokenizer other;  // the first that does not fit
  for (const fs::path& place : tokenizer_places(wish.model, wish.vocab)) {
    looked += (looked.empty() ? "" : " or ") + place.string();
    if (!fs::is_regular_file(place)) continue;
    FoundTokenizer found = load(place.string());
    if (tokens_of(found) == wish.vocab) return found;
    if (other.tokenizer == nullptr) other = std::move(found);
  }
  if (other.tokenizer != nullptr) refuse(other, wish, ", or --tokenizer FILE");
  const std::string gone =
      wish.own.empty() ? "" : fmt::format("; the run's, {}, is not there", wish.own);
  throw Error(fmt::format("no tokenizer of {} tokens is found{}", wish.vocab, gone),
              wish.model.string(), looked + ", or --tokenizer FILE");
}

}  // namespace

std::vector<fs::path> tokenizer_places(const fs::path& model, std::int64_t vocab) {
  const std::string by_size = fmt::format("tok{}.bin", vocab);
  if (fs::is_directory(model)) return {model / by_size, model / kTokenizerFile};
  const fs::path folder = model.parent_path();
  return {tokenizer_beside(model), folder / by_size, folder / kTokenizerFile};
}

fs::path tokenizer_beside(const fs::path& file) {
  return fs::path(file).replace_extension(kTokenizerFile);
}

bool fits(const TokenizerWish& wish, std::uint64_t tokens) {
  if (tokens == static_cast<std::uint64_t>(wish.vocab)) return true;
  const FoundTokenizer own = load_own(wish);
  return own.tokenizer != nullptr && tokens == own.tokenizer->vocabulary();
}

FoundTokenizer find_tokenizer(const TokenizerWish& wish) {
  if (!wish.given.empty()) return given_one(wish);
  if (FoundTokenizer own = load_own(wish); own.tokenizer != nullptr) {
    if (tokens_of(own) > wish.vocab) refuse(own, wish);
    return own;
  }
  if (wish.vocab == kBytes) return load("bytes");
  return one_beside(wish);
}

}  // namespace anemone::model

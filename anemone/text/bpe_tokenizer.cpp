// Byte-pair encoding as llama2.c does it: characters become tokens (or their bytes do), then the
// neighbours whose union has the best score are joined, the leftmost of equals first, until none
// can be. A queue of candidates makes that n·log n; which pairs join is known from the vocabulary.
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <queue>
#include <unordered_map>

#include "anemone/base/error.h"
#include "anemone/text/tokenizer.h"

namespace anemone::text {
namespace {

constexpr TokenId kBegin = 1, kEnd = 2, kFirstByte = 3, kBytes = 256;
constexpr std::uint32_t kLongestToken = 1 << 16;
constexpr std::size_t kMostTokens = std::size_t{1} << 24;

struct Token {
  std::string text;
  float score = 0;
};

// Reads one number after another and says where the file ends too early.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& name) : rest_(bytes), name_(name) {}
  bool at_end() const { return rest_.empty(); }

  template <class T>
  T number(const char* what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }
  std::string text(std::size_t size) {
    const auto bytes = take(size, "a token's text");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::byte> take(std::size_t size, const char* what) {
    if (rest_.size() < size) throw Error(fmt::format("the file ends within {}", what), name_);
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  std::span<const std::byte> rest_;
  const std::string& name_;
};

// uint32: longest token; then for each token fp32 score, int32 length, its bytes.
std::vector<Token> read_vocabulary(std::span<const std::byte> file, const std::string& name) {
  Reader reader(file, name);
  const auto longest = reader.number<std::uint32_t>("its header");
  if (longest == 0 || longest > kLongestToken)
    throw Error(fmt::format("the longest token has {} bytes", longest), name,
                fmt::format("a tokenizer.bin, with 1 to {}", kLongestToken));
  std::vector<Token> tokens;
  while (!reader.at_end()) {
    Token token;
    token.score = reader.number<float>("a token's score");
    const auto length = reader.number<std::int32_t>("a token's length");
    const std::string where = fmt::format("{}: token {}", name, tokens.size());
    if (length < 0 || static_cast<std::uint32_t>(length) > longest)
      throw Error(fmt::format("it has {} bytes", length), where,
                  fmt::format("0 to {}, as its header says", longest));
    if (!std::isfinite(token.score)) throw Error("its score is not finite", where);
    if (tokens.size() == kMostTokens) throw Error("too many tokens", where);
    token.text = reader.text(static_cast<std::size_t>(length));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

struct Pair {
  TokenId left, right;
  bool operator==(const Pair& other) const { return left == other.left && right == other.right; }
};
struct PairHash {
  std::size_t operator()(const Pair& pair) const {
    // A multiplication spreads what std::hash may leave as it is (Knuth, volume 3, section 6.4).
    return (std::uint64_t{pair.left} << 32 | pair.right) * 0x9e3779b97f4a7c15ULL >> 16;
  }
};

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(std::span<const std::byte> file, const std::string& name)
      : tokens_(read_vocabulary(file, name)) {
    check_bytes(name);
    // Not the ones before: a text that spells "<s>" or "<0x41>" means these characters.
    for (TokenId id = kFirstByte + kBytes; id < tokens_.size(); ++id)
      by_text_.emplace(tokens_[id].text, id);
    for (const auto& [text, id] : by_text_)
      lines_join_ |= text.size() > 1 && text.find('\n') < text.size() - 1;
    // What a pair joins to: every way to cut a token into two.
    for (const auto& [text, id] : by_text_) {
      for (std::size_t cut = 1; cut < text.size(); ++cut) {
        const auto left = by_text_.find(text.substr(0, cut));
        if (left == by_text_.end()) continue;
        const auto right = by_text_.find(text.substr(cut));
        if (right != by_text_.end()) joined_.emplace(Pair{left->second, right->second}, id);
      }
    }
  }

  std::string describe() const override { return fmt::format("BPE, {} tokens", tokens_.size()); }
  TokenId vocabulary() const override { return static_cast<TokenId>(tokens_.size()); }
  std::optional<TokenId> begin() const override { return kBegin; }
  std::optional<TokenId> end() const override { return kEnd; }
  void append(std::string_view part, bool first, std::vector<TokenId>& ids) const override;
  std::size_t cut(std::string_view rest, std::size_t wanted) const override;
  std::string_view piece(TokenId previous, TokenId token) const override;

 private:
  void check_bytes(const std::string& name);
  std::vector<TokenId> characters(std::string_view text, bool first) const;
  void join(std::vector<TokenId>& ids) const;

  std::vector<Token> tokens_;
  std::string bytes_;                                      // what tokens 3 to 258 stand for
  std::unordered_map<std::string_view, TokenId> by_text_;  // the first of equal texts
  std::unordered_map<Pair, TokenId, PairHash> joined_;
  bool lines_join_ = false;  // a token reaches beyond the end of a line
};

void BpeTokenizer::check_bytes(const std::string& name) {
  for (TokenId byte = 0; byte < kBytes; ++byte) {
    const TokenId id = kFirstByte + byte;
    const std::string wanted = fmt::format("<0x{:02X}>", byte);
    if (id >= tokens_.size() || tokens_[id].text != wanted)
      throw Error(id >= tokens_.size() ? fmt::format("there are only {} tokens", tokens_.size())
                                       : fmt::format("token {} is another", id),
                  name, fmt::format("token {} to be {}", id, wanted));
    bytes_ += static_cast<char>(byte);
  }
}

// A token for each character, or one for each of its bytes; the space that every document is given
// comes first. A character is a byte and up to three continuations of UTF-8 behind it.
std::vector<TokenId> BpeTokenizer::characters(std::string_view text, bool first) const {
  std::vector<TokenId> ids;
  ids.reserve(text.size() + 1);
  const auto add = [&](std::string_view character) {
    if (const auto found = by_text_.find(character); found != by_text_.end()) {
      ids.push_back(found->second);
      return;
    }
    for (const char c : character) ids.push_back(kFirstByte + static_cast<unsigned char>(c));
  };
  const auto continues = [&](std::size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
  };
  if (first && !text.empty()) add(" ");
  for (std::size_t at = 0; at < text.size();) {
    std::size_t size = 1;
    while (size < 4 && continues(at + size)) ++size;
    add(text.substr(at, size));
    at += size;
  }
  return ids;
}

// Tokens as a list linked by positions; a joined token takes the position of its left half.
void BpeTokenizer::join(std::vector<TokenId>& ids) const {
  struct Candidate {
    float score;
    std::size_t left, right;  // positions
    TokenId left_id, right_id, joined;
    // The queue's first: the best score, then the leftmost.
    bool operator<(const Candidate& other) const {
      return score != other.score ? score < other.score : left > other.left;
    }
  };
  constexpr TokenId kGone = ~TokenId{0};
  const std::size_t end = ids.size();
  std::vector<std::size_t> next(end), previous(end);
  std::priority_queue<Candidate> queue;
  const auto consider = [&](std::size_t left, std::size_t right) {
    const auto found = joined_.find(Pair{ids[left], ids[right]});
    if (found == joined_.end()) return;
    queue.push({tokens_[found->second].score, left, right, ids[left], ids[right], found->second});
  };
  for (std::size_t i = 0; i < end; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;
    if (i + 1 < end) consider(i, i + 1);
  }
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    // One of its halves may have been joined with something else meanwhile.
    if (ids[best.left] != best.left_id || next[best.left] != best.right ||
        ids[best.right] != best.right_id)
      continue;
    ids[best.left] = best.joined;
    ids[best.right] = kGone;
    next[best.left] = next[best.right];
    if (next[best.left] < end) {
      previous[next[best.left]] = best.left;
      consider(best.left, next[best.left]);
    }
    if (best.left > 0) consider(previous[best.left], best.left);
  }
  std::erase(ids, kGone);
}

void BpeTokenizer::append(std::string_view part, bool first, std::vector<TokenId>& ids) const {
  if (first) ids.push_back(kBegin);
  std::vector<TokenId> joined = characters(part, first);
  join(joined);
  ids.insert(ids.end(), joined.begin(), joined.end());
}

// Behind a line's end, unless tokens may reach beyond it.
std::size_t BpeTokenizer::cut(std::string_view rest, std::size_t wanted) const {
  if (rest.size() <= wanted || lines_join_) return rest.size();
  std::size_t end = rest.rfind('\n', wanted);
  if (end == std::string_view::npos) end = rest.find('\n', wanted);
  return end == std::string_view::npos ? rest.size() : end + 1;
}

std::string_view BpeTokenizer::piece(TokenId previous, TokenId token) const {
  if (token >= tokens_.size())
    throw Error(fmt::format("token {} is not in the vocabulary", token), "",
                fmt::format("0 to {}", tokens_.size() - 1));
  if (token == kBegin || token == kEnd) return {};
  if (token >= kFirstByte && token < kFirstByte + kBytes)
    return std::string_view(bytes_).substr(token - kFirstByte, 1);
  std::string_view text = tokens_[token].text;
  if (previous == kBegin && text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

}  // namespace

std::unique_ptr<Tokenizer> make_bpe_tokenizer(std::span<const std::byte> file,
                                              const std::string& name) {
  return std::make_unique<BpeTokenizer>(file, name);
}

}  // namespace anemone::text

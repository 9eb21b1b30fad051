// A hand-written scanner: one look at each byte, no tables, no backtracking.
#include "anemone/mil/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "anemone/mil/number.h"
#include "anemone/mil/utf8.h"

namespace anemone::mil {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool continues_identifier(char c) { return is_letter(c) || is_digit(c) || c == '@'; }
bool is_punctuation(char c) {
  return std::string_view("()[]{}<>,;=:?").find(c) != std::string_view::npos;
}

bool may_start_token(char c) {
  return is_letter(c) || is_digit(c) || is_punctuation(c) ||
         std::string_view("\"-/ \t\r\n").find(c) != std::string_view::npos;
}

SourceLocation location_of(std::size_t line, std::size_t column) {
  constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
  return {static_cast<std::uint32_t>(std::min(line, kMost)),
          static_cast<std::uint32_t>(std::min(column, kMost))};
}

}  // namespace

std::string Token::describe() const {
  constexpr std::size_t kLongest = 40;
  if (kind == TokenKind::end) return "the end of the text";
  std::size_t shown = std::min(text.size(), kLongest);
  while (shown < text.size() && shown > 0 && is_utf8_continuation(text[shown])) --shown;
  std::string cut;
  for (const char c : text.substr(0, shown)) cut += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  if (shown < text.size()) cut += "…";
  return kind == TokenKind::string ? "\"" + cut + "\"" : "'" + cut + "'";
}

Lexer::Lexer(std::string_view text, Diagnostics& diagnostics)
    : text_(without_byte_order_mark(text)), diagnostics_(diagnostics) {}

SourceLocation Lexer::here() const { return location_of(line_, position_ - line_begin_ + 1); }

Token Lexer::token(TokenKind kind, std::size_t begin, SourceLocation location) const {
  return {kind, text_.substr(begin, position_ - begin), location, false};
}

void Lexer::skip_space() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '\n') {
      ++position_;
      ++line_;
      line_begin_ = position_;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++position_;
    } else if (text_.substr(position_).starts_with("//")) {
      position_ = std::min(text_.find('\n', position_), text_.size());
    } else {
      return;
    }
  }
}

Token Lexer::next() {
  while (true) {
    skip_space();
    if (position_ == text_.size()) return token(TokenKind::end, position_, here());
    const char c = text_[position_];
    const char after = position_ + 1 < text_.size() ? text_[position_ + 1] : '\0';
    if (is_letter(c)) return identifier();
    if (is_digit(c) || (c == '-' && (is_digit(after) || after == 'i' || after == 'n'))) {
      return number();
    }
    if (c == '"') return string();
    const SourceLocation location = here();
    const std::size_t begin = position_;
    if (is_punctuation(c) || (c == '-' && after == '>')) {
      position_ += c == '-' ? 2 : 1;
      return token(TokenKind::punctuation, begin, location);
    }
    stray_characters();
  }
}

Token Lexer::identifier() {
  const SourceLocation location = here();
  const std::size_t begin = position_;
  while (position_ < text_.size() && continues_identifier(text_[position_])) ++position_;
  return token(TokenKind::identifier, begin, location);
}

// Everything that belongs to a number, right or wrong: "12ab" is one bad number, not two tokens.
Token Lexer::number() {
  const SourceLocation location = here();
  const std::size_t begin = position_;
  if (text_[position_] == '-') ++position_;
  const bool hex = text_.substr(position_).starts_with("0x");
  while (position_ < text_.size()) {
    const char c = text_[position_];
    const char last = position_ > begin ? text_[position_ - 1] : '\0';
    const bool exponent = hex ? last == 'p' || last == 'P' : last == 'e' || last == 'E';
    const bool sign = (c == '+' || c == '-') && exponent;
    if (!sign && !is_letter(c) && !is_digit(c) && c != '.') break;
    ++position_;
  }
  return token(TokenKind::number, begin, location);
}

Token Lexer::string() {
  const SourceLocation location = here();
  const std::size_t begin = ++position_;
  while (position_ < text_.size() && text_[position_] != '"' && text_[position_] != '\n') {
    position_ +=
        text_[position_] == '\\' && position_ + 1 < text_.size() && text_[position_ + 1] != '\n'
            ? 2
            : 1;
  }
  Token result = token(TokenKind::string, begin, location);
  if (position_ < text_.size() && text_[position_] == '"') {
    ++position_;
  } else {
    result.broken = true;
    diagnostics_.error(location, "a string without an end on its line (expected '\"')");
  }
  return result;
}

void Lexer::stray_characters() {
  const std::size_t length = utf8_length(text_.substr(position_));
  diagnostics_.error(here(),
                     fmt::format("a stray character: '{}'", text_.substr(position_, length)));
  // A run of them is one problem.
  do {
    ++position_;
  } while (position_ < text_.size() && !may_start_token(text_[position_]));
}

bool check_encoding(std::string_view text, Diagnostics& diagnostics) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    diagnostics.error({1, 1}, "not MIL text: UTF-16 (expected UTF-8)");
    return false;
  }
  text = without_byte_order_mark(text);
  std::size_t position = 0, line_begin = 0, line = 1;
  while (position < text.size()) {
    const auto byte = static_cast<unsigned char>(text[position]);
    const bool control =
        (byte < 0x20 && byte != '\t' && byte != '\r' && byte != '\n') || byte == 0x7f;
    const std::size_t length = control ? 0 : byte < 0x80 ? 1 : utf8_length(text.substr(position));
    if (length == 0) {
      diagnostics.error(location_of(line, position - line_begin + 1),
                        fmt::format("not MIL text: byte 0x{:02x} (expected UTF-8 without control "
                                    "characters)",
                                    byte));
      return false;
    }
    position += length;
    if (byte == '\n') {
      ++line;
      line_begin = position;
    }
  }
  return true;
}

bool is_identifier(std::string_view text) {
  return !text.empty() && is_letter(text.front()) &&
         std::all_of(text.begin(), text.end(), continues_identifier);
}

bool unescape(std::string_view text, std::string& result, std::string& problem) {
  result.clear();
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      result += text[i];
      continue;
    }
    const char c = ++i < text.size() ? text[i] : '\0';
    constexpr std::string_view kNames = "\"\\/nrt", kMeanings = "\"\\/\n\r\t";
    const std::size_t known = c == '\0' ? std::string_view::npos : kNames.find(c);
    if (known != std::string_view::npos) {
      result += kMeanings[known];
    } else if (c == 'x' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
               hex_digit(text[i + 2]) >= 0) {
      result += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      problem = "an unknown escape in a string (expected \\\" \\\\ \\/ \\n \\r \\t or \\xHH)";
      return false;
    }
  }
  return true;
}

}  // namespace anemone::mil

// MIL text to tokens. What cannot be a token is reported and passed over; any bytes are safe input,
// but a text that check_encoding refuses is not worth reading on.
//
// Tokens are views of the text (4 MB of integer literals in one statement occur in real programs,
// so nothing is copied). Numbers and strings are converted by whoever knows the type they have.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "anemone/mil/diagnostics.h"
#include "anemone/mil/ir.h"

namespace anemone::mil {

enum class TokenKind : std::uint8_t {
  identifier,   // softmax, tensor, inf, l0@x
  number,       // 12, -0x1.8p-3, 1e-5, -inf; not yet checked
  string,       // text is what stands between the quotes
  punctuation,  // one of ()[]{}<>,;=:? or ->
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view text;
  SourceLocation location;
  bool broken = false;  // a string without an end: reported, and what follows is no surprise

  bool is(std::string_view punctuation) const {
    return kind == TokenKind::punctuation && text == punctuation;
  }
  // For "found …" in messages; long ones are cut.
  std::string describe() const;
};

class Lexer {
 public:
  // Both must outlive the lexer.
  Lexer(std::string_view text, Diagnostics& diagnostics);

  Token next();
  // Text not yet read, in bytes: no literal can have more elements.
  std::size_t remaining() const { return text_.size() - position_; }

 private:
  void skip_space();
  SourceLocation here() const;
  Token identifier();
  Token number();
  Token string();
  void stray_characters();
  Token token(TokenKind kind, std::size_t begin, SourceLocation location) const;

  std::string_view text_;
  Diagnostics& diagnostics_;
  std::size_t position_ = 0;
  std::size_t line_begin_ = 0;
  std::uint32_t line_ = 1;
};

// MIL text is UTF-8, without control characters but tabs and line ends. Reports the first byte that
// is none, as a binary file has it, and returns false.
bool check_encoding(std::string_view text, Diagnostics& diagnostics);

bool is_identifier(std::string_view text);

// What a string token means: \" \\ \/ \n \r \t and \xHH replaced. On failure returns false and says
// why.
bool unescape(std::string_view text, std::string& result, std::string& problem);

}  // namespace anemone::mil

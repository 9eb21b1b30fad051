// The parser's view of the tokens: two of look-ahead, and errors that end a statement.
#pragma once

#include <string>
#include <string_view>

#include "anemone/mil/diagnostics.h"
#include "anemone/mil/lexer.h"

namespace anemone::mil {

// Thrown after an error was reported, to give up the statement at hand; caught where the parser can
// go on.
struct SyntaxError {};

class TokenStream {
 public:
  TokenStream(std::string_view text, Diagnostics& diagnostics)
      : lexer_(text, diagnostics),
        diagnostics_(diagnostics),
        first_(lexer_.next()),
        second_(lexer_.next()) {}

  const Token& peek() const { return first_; }
  const Token& peek_second() const { return second_; }
  bool at_end() const { return first_.kind == TokenKind::end; }
  bool at(std::string_view punctuation) const { return first_.is(punctuation); }
  bool at_word(std::string_view word) const {
    return first_.kind == TokenKind::identifier && first_.text == word;
  }

  Token take() {
    const Token taken = first_;
    after_broken_ = taken.broken;
    first_ = second_;
    second_ = lexer_.next();
    return taken;
  }
  bool accept(std::string_view punctuation) {
    if (!at(punctuation)) return false;
    take();
    return true;
  }

  // `place` completes "expected ',' …": "in the argument list".
  Token expect(std::string_view punctuation, std::string_view place) {
    if (!at(punctuation)) expected("'" + std::string(punctuation) + "'", place);
    return take();
  }
  Token expect_identifier(std::string_view what) {
    if (first_.kind != TokenKind::identifier) expected(std::string(what), {});
    return take();
  }
  // "expected WHAT PLACE, found TOKEN"
  [[noreturn]] void expected(const std::string& what, std::string_view place) {
    fail(first_.location, "expected " + what + (place.empty() ? "" : " " + std::string(place)) +
                              ", found " + first_.describe());
  }
  [[noreturn]] void fail(SourceLocation location, std::string message) {
    if (!after_broken_) diagnostics_.error(location, std::move(message));
    throw SyntaxError{};
  }

  Diagnostics& diagnostics() { return diagnostics_; }
  // An upper bound of the elements that the rest of the text can hold.
  std::size_t remaining_bytes() const {
    return lexer_.remaining() + first_.text.size() + second_.text.size();
  }

 private:
  Lexer lexer_;
  Diagnostics& diagnostics_;
  Token first_, second_;
  bool after_broken_ = false;
};

}  // namespace anemone::mil

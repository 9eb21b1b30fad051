// The parser of programs, functions and statements; values and types are in value_parser.
//
// A statement with an error is left out of the program, but the names it defines are kept (with
// their declared types), so that one mistake is reported once.
#include "anemone/mil/parser.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "anemone/base/file.h"
#include "anemone/mil/function_parser.h"
#include "anemone/mil/verifier.h"

namespace anemone::mil {
namespace {

class ProgramParser {
 public:
  ProgramParser(std::string_view text, Diagnostics& diagnostics, UnknownOperations unknown)
      : tokens_(text, diagnostics), values_(tokens_), unknown_(unknown) {}

  Program run() {
    try {
      parse_header();
    } catch (const SyntaxError&) {
      skip_to_function();
    }
    while (!tokens_.at_end() && !tokens_.at("}")) parse_function();
    parse_end();
    if (unknown_ == UnknownOperations::error) {
      report_unsupported(unsupported_, tokens_.diagnostics());
      for (Function& function : program_.functions) function.unknown_ops.clear();
    }
    return std::move(program_);
  }

 private:
  void parse_header() {
    tokens_.take();  // the word, as begins_as_program has seen
    tokens_.expect("(", "behind 'program'");
    const Token version = tokens_.take();
    if (version.text != "1.0" && version.text != "1.3" && version.text != "1") {
      tokens_.fail(version.location, fmt::format("unknown program version {} (known: 1.0 and 1.3)",
                                                 version.describe()));
    }
    program_.version = version.text == "1" ? "1.0" : std::string(version.text);
    tokens_.expect(")", "behind the version");
    parse_attributes(tokens_, values_, program_.attributes);
    tokens_.expect("{", "at the beginning of the program");
  }

  void parse_function() {
    const Token before = tokens_.peek();
    Function function;
    try {
      FunctionParser(tokens_, values_, function, unsupported_).run();
    } catch (const SyntaxError&) {
      if (tokens_.peek().location.line == before.location.line &&
          tokens_.peek().location.column == before.location.column) {
        tokens_.take();
      }
      skip_to_function();
    }
    program_.functions.push_back(std::move(function));
  }

  void parse_end() {
    if (skipped_ && tokens_.at_end()) return;
    try {
      tokens_.expect("}", "at the end of the program");
      if (!tokens_.at_end()) tokens_.expected("nothing more behind the program", {});
    } catch (const SyntaxError&) {
      // The last thing there was to check.
    }
  }

  // Goes on at the next function, or at what looks like the end of the program.
  void skip_to_function() {
    skipped_ = true;
    while (!tokens_.at_end() && !at_function(tokens_) &&
           !(tokens_.at("}") && tokens_.peek_second().kind == TokenKind::end)) {
      tokens_.take();
    }
  }

  TokenStream tokens_;
  ValueParser values_;
  Program program_;
  UnknownOperations unknown_;
  UnsupportedOps unsupported_;
  bool skipped_ = false;  // text after an error
};

// A text that begins otherwise is another language, and what the parser says of its rest is noise.
bool begins_as_program(std::string_view text, Diagnostics& diagnostics) {
  Diagnostics problems({}, text);
  const Token first = Lexer(text, problems).next();
  const bool plain = !problems.has_errors();
  if (plain && first.kind == TokenKind::identifier && first.text == "program") return true;
  const Diagnostic problem =
      plain ? Diagnostic{Severity::error, first.location, first.describe()} : problems.all()[0];
  diagnostics.error(
      problem.location,
      fmt::format("expected 'program(1.0)' or 'program(1.3)', found {}", problem.message));
  return false;
}

}  // namespace

Program parse(std::string_view text, Diagnostics& diagnostics, UnknownOperations unknown) {
  if (!check_encoding(text, diagnostics) || !begins_as_program(text, diagnostics)) return {};
  return ProgramParser(text, diagnostics, unknown).run();
}

Program parse_program(std::string_view text, const std::string& name) {
  Diagnostics diagnostics(name, text);
  Program program = parse(text, diagnostics);
  verify(program, diagnostics);
  diagnostics.throw_if_errors();
  return program;
}

Program load_program(const std::filesystem::path& path) {
  const std::string text = read_text_file(path);
  return parse_program(text, path.string());
}

}  // namespace anemone::mil

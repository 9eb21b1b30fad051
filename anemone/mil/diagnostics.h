// Problems found in MIL text, with their place, printed as compilers do:
//   model.mil:14:8: error: softmax: axis 4 is out of range for a tensor of rank 4 (allowed: -4..3)
// followed by the source line and a caret.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/mil/ir.h"

namespace anemone::mil {

enum class Severity { note, warning, error };
const char* severity_name(Severity severity);

struct Diagnostic {
  Severity severity = Severity::error;
  SourceLocation location;
  std::string message;
};

class Diagnostics {
 public:
  static constexpr std::size_t kMaxErrors = 50;  // further ones are counted, not kept

  Diagnostics(std::string file, std::string_view text);

  void error(SourceLocation location, std::string message);
  void warning(SourceLocation location, std::string message);
  void note(SourceLocation location, std::string message);

  bool has_errors() const { return errors_ > 0; }
  std::size_t error_count() const { return errors_; }
  bool full() const { return errors_ >= kMaxErrors; }
  // In the order of the text, a note behind what it explains.
  std::vector<Diagnostic> all() const;
  const std::string& file() const { return file_; }
  std::string summary() const;  // "2 errors in model.mil"
  // Every diagnostic with its line and caret; long lines are cut around it.
  std::string render() const;
  void throw_if_errors() const;  // throws DiagnosticError

 private:
  void add(Severity severity, SourceLocation location, std::string message);
  std::string file_;
  std::string_view text_;  // must outlive this object
  std::vector<Diagnostic> all_;
  std::size_t errors_ = 0;
};

// Several problems of one file at once; what() is the rendered text.
class DiagnosticError : public Error {
 public:
  DiagnosticError(const std::string& rendered, std::string summary)
      : Error(rendered), summary_(std::move(summary)) {}
  const std::string& summary() const { return summary_; }

 private:
  std::string summary_;
};

}  // namespace anemone::mil

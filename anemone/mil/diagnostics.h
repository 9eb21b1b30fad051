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

struct Diagnostic {
  Severity severity = Severity::error;
  SourceLocation location;
  std::string message;
};

class Diagnostics {
 public:
  static constexpr std::size_t kMaxErrors = 50;  // further ones are counted, not kept

  Diagnostics(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {}

  void error(SourceLocation location, std::string message);
  void warning(SourceLocation location, std::string message);
  void note(SourceLocation location, std::string message);

  bool has_errors() const { return errors_ > 0; }
  std::size_t error_count() const { return errors_; }
  bool full() const { return errors_ >= kMaxErrors; }
  const std::vector<Diagnostic>& all() const { return all_; }
  std::string render()
      const;  // every diagnostic with its line and caret; long lines are cut around it
  void throw_if_errors() const;  // throws DiagnosticError

 private:
  std::string file_;
  std::string_view text_;  // must outlive this object
  std::vector<Diagnostic> all_;
  std::size_t errors_ = 0;
};

// Several problems of one file at once; what() is the rendered text.
class DiagnosticError : public Error {
 public:
  explicit DiagnosticError(const std::string& rendered) : Error(rendered) {}
};

}  // namespace anemone::mil

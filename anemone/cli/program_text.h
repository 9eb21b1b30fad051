// The MIL text that a command line names: a file, the folder of a compiled model (its model.mil),
// or
// "-" for standard input.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "anemone/cli/input_text.h"
#include "anemone/mil/ir.h"

namespace anemone::cli {

class ProgramText {
 public:
  explicit ProgramText(const std::string& given);  // throws Error when it cannot be read

  std::string_view text() const { return input_.view(); }
  const std::string& name() const { return name_; }                      // for messages
  const std::filesystem::path& directory() const { return directory_; }  // of @model_path
  mil::Program load() const;  // parsed and verified; throws DiagnosticError

 private:
  std::filesystem::path path_;
  std::string name_;
  std::filesystem::path directory_;
  InputText input_;
};

}  // namespace anemone::cli

// Files are mapped, not copied: what is given may be any file, of any size.
#include "anemone/cli/program_text.h"

#include <unistd.h>

#include "anemone/base/error.h"
#include "anemone/mil/parser.h"

namespace anemone::cli {

ProgramText::ProgramText(const std::string& given) : name_(given) {
  if (given == "-") {
    name_ = "<stdin>";
    input_ = read_to_end(STDIN_FILENO, name_);
    return;
  }
  std::filesystem::path path(given);
  std::error_code ignored;  // opening the file says why it cannot be read
  if (std::filesystem::is_directory(path, ignored)) {
    path /= "model.mil";
    if (!std::filesystem::exists(path, ignored)) {
      throw Error("is a folder without a model.mil", given,
                  "MIL text, or the folder of a compiled model");
    }
  }
  name_ = path.string();
  if (path.has_parent_path()) directory_ = path.parent_path();
  file_ = MappedFile(path);
}

std::string_view ProgramText::text() const {
  const auto bytes = file_.bytes();
  if (bytes.empty()) return input_;
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

mil::Program ProgramText::load() const { return mil::parse_program(text(), name_); }

}  // namespace anemone::cli

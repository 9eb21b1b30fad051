// See program_text.h.
#include "anemone/cli/program_text.h"

#include "anemone/base/error.h"
#include "anemone/mil/parser.h"

namespace anemone::cli {
namespace {

std::filesystem::path program_path(const std::string& given) {
  std::error_code ignored;  // opening the file says why it cannot be read
  if (given == kStandardInput || !std::filesystem::is_directory(given, ignored)) return given;
  const auto path = std::filesystem::path(given) / "model.mil";
  if (!std::filesystem::exists(path, ignored)) {
    throw Error("is a folder without a model.mil", given,
                "MIL text, or the folder of a compiled model");
  }
  return path;
}

}  // namespace

ProgramText::ProgramText(const std::string& given)
    : path_(program_path(given)),
      name_(path_ == kStandardInput ? "<stdin>" : path_.string()),
      directory_(path_.has_parent_path() ? path_.parent_path() : "."),
      input_(path_) {}

mil::Program ProgramText::load() const { return mil::parse_program(text(), name_); }

}  // namespace anemone::cli

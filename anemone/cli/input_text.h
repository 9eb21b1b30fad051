// The text that a command line names: a file, or "-" for standard input. Files are mapped, not
// copied: what is given may be any file, of any size.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "anemone/base/file.h"

namespace anemone::cli {

inline constexpr std::string_view kStandardInput = "-";

class InputText {
 public:
  // Throws Error when it cannot be read.
  explicit InputText(const std::filesystem::path& given) {
    if (given == kStandardInput) {
      input_ = read_to_end(STDIN_FILENO, "<stdin>");
    } else {
      file_ = MappedFile(given);
    }
  }

  std::string_view view() const {
    const auto bytes = file_.bytes();
    if (bytes.empty()) return input_;
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  MappedFile file_;
  std::string input_;
};

}  // namespace anemone::cli

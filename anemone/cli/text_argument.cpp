// See text_argument.h.
#include "anemone/cli/text_argument.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "anemone/cli/command.h"

namespace anemone::cli {
namespace {

// Text of any encoding that a tokenizer here takes has no zeros.
bool begins_like_no_text(const std::string& path) {
  std::array<char, 4096> begin{};
  std::ifstream file(path, std::ios::binary);
  file.read(begin.data(), begin.size());
  const auto end = begin.begin() + file.gcount();
  return std::find(begin.begin(), end, '\0') != end;
}

}  // namespace

void check_text(std::span<const std::string> paths) {
  for (const std::string& path : paths) {
    if (!std::filesystem::exists(path))
      throw UsageError("there is no such file", path, "--text FILE");
    if (std::filesystem::is_regular_file(path) && begins_like_no_text(path))
      fmt::print(stderr, "anemone: note: {} does not look like text (it has zero bytes)\n", path);
  }
}

}  // namespace anemone::cli

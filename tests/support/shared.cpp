// The only test file that knows where the checkout lies (see cmake/AnemoneTests.cmake).
#include "tests/support/shared.h"

#include <cstdlib>

namespace anemone::test {

std::filesystem::path source_root() { return ANEMONE_SOURCE_ROOT; }

std::filesystem::path program_path() { return ANEMONE_PROGRAM; }

std::filesystem::path io_fault_library() {
  return std::filesystem::path(ANEMONE_TOOLS) / "anemone_io_fault.so";
}

std::optional<std::filesystem::path> fake_ane_library() {
  std::filesystem::path path = std::filesystem::path(ANEMONE_TOOLS) / "libanemone_fake_ane.so";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return path;
}

std::optional<std::filesystem::path> shared_path(std::string_view relative) {
  const char* folder = std::getenv("ANEMONE_SHARED");
  const std::filesystem::path root = folder != nullptr && *folder != '\0'
                                         ? std::filesystem::path(folder)
                                         : source_root().parent_path() / "shared";
  std::filesystem::path path = root / relative;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return path;
}

}  // namespace anemone::test

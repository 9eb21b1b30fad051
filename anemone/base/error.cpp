// Formatting of errors, and the end of the road for broken invariants.
#include "anemone/base/error.h"

#include <unistd.h>

#include <cstdlib>

namespace anemone {
namespace {

std::string compose(const std::string& what, const std::string& where,
                    const std::string& expected) {
  std::string text;
  if (!where.empty()) text = where + ": ";
  text += what;
  if (!expected.empty()) text += " (expected " + expected + ")";
  return text;
}

}  // namespace

Error::Error(const std::string& what, const std::string& where, const std::string& expected)
    : std::runtime_error(compose(what, where, expected)),
      problem_(what),
      where_(where),
      expected_(expected) {}

void check_failed(const char* condition, const char* why, const char* file, int line) {
  const std::string text = std::string(file) + ":" + std::to_string(line) +
                           ": internal error: " + why + " [" + condition + "]\n";
  // write(2), not a stream: this may run while anything else is broken.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  std::abort();
}

}  // namespace anemone

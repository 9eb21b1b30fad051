// Runs on the text, before CLI11 converts it: its conversion takes -1 for a large unsigned number.
#include "anemone/cli/whole_number.h"

#include <fmt/format.h>

#include <charconv>
#include <string>

#include "anemone/base/is_whole_number.h"

namespace anemone::cli {
CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  const auto problem = [least, most](std::string& text) -> std::string {
    if (!is_whole_number(text)) {
      return fmt::format("'{}' is no whole number (expected {} to {})", text, least, most);
    }
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && number >= least && number <= most) return {};
    return fmt::format("{} is out of range (expected {} to {})", text, least, most);
  };
  return CLI::Validator(problem, "");
}

}  // namespace anemone::cli

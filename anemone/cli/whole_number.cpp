// Runs on the text, before CLI11 converts it: its conversion takes -1 for a large unsigned number.
#include "anemone/cli/whole_number.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

namespace anemone::cli {
namespace {

bool is_whole(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  const auto problem = [least, most](std::string& text) -> std::string {
    if (!is_whole(text)) {
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

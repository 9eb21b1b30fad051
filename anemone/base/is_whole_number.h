// Is a text the digits of a whole number, of any size?
#pragma once

#include <string_view>

namespace anemone {

inline bool is_whole_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace anemone

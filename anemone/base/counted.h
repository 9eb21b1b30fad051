// "1 step", "2 steps": a number of things in a message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace anemone {

// `noun` takes an s for more than one.
inline std::string counted(std::uint64_t number, std::string_view noun) {
  return std::to_string(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

}  // namespace anemone

// Numbers of MIL text to the bytes of an element type.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "anemone/base/dtype.h"

namespace anemone::mil {

// The value of a hexadecimal digit, or -1.
inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Converts a number token ("-12", "0x1.8p-3", "0.001", "inf") or a word ("true", "nan") and appends
// the element to `bytes`. Decimal fractions are read as the nearest double and then rounded to the
// type; hex floats are exact before that one rounding. Returns what is wrong, or an empty text.
template <class Bytes>
std::string append_number(std::string_view text, DType type, Bytes& bytes);

// Stores at `out` (dtype_size(type) bytes).
std::string read_number(std::string_view text, DType type, std::byte* out);

template <class Bytes>
std::string append_number(std::string_view text, DType type, Bytes& bytes) {
  std::byte element[8];
  std::string problem = read_number(text, type, element);
  if (problem.empty()) bytes.insert(bytes.end(), element, element + dtype_size(type));
  return problem;
}

}  // namespace anemone::mil

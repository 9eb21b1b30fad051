// IR to MIL text, as Apple writes it: arguments sorted by name, floats as exact hex floats,
// program(1.0) or program(1.3) spelling. parse(print(p)) == p, and print(parse(text)) == text for
// text of our own.
#pragma once

#include <optional>
#include <string>

#include "anemone/mil/ir.h"

namespace anemone::mil {

std::string print(const Program& program);
std::string print_float(double value, DType type);  // "0x1.8p+0", "-inf", "nan"
std::string quote(std::string_view text);           // a MIL string literal

}  // namespace anemone::mil

// IR to MIL text, as Apple writes it: arguments sorted by name, floats as exact hex floats,
// program(1.0) or program(1.3) spelling. parse(print(p)) == p, and print(parse(text)) == text for
// text of our own. (NaN is printed as `nan`: which NaN it was is lost.)
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "anemone/mil/ir.h"

namespace anemone::mil {

std::string print(const Program& program);
std::string print_float(double value, DType type);  // "0x1.8p+0", "-inf", "nan"
std::string quote(std::string_view text);           // a MIL string literal

// Where a weight of the WeightStore would lie beside the text: a program that still refers to the
// store is printed with BLOBFILE(path = weight_path(ref), offset = 64).
std::string weight_path(const WeightRef& ref);  // "@model_path/weights/l0.w2_t.bin"

}  // namespace anemone::mil

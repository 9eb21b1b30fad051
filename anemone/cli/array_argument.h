// The arrays named on the command line of `anemone run`: --input NAME=VALUE, --output NAME=@FILE.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/engine/surface.h"

namespace anemone::cli {

// "x=@x.npy" → name x, value "@x.npy". Throws Error when there is no '='.
struct ArrayArgument {
  std::string name, value;
};
ArrayArgument parse_array_argument(std::string_view text, std::string_view flag);

// The values for `port` that `value` means: @FILE.npy, zeros, random (uniform in [-1, 1); whole
// numbers 0 and 1), or one number for every element. Throws Error when they do not fit the port; a
// conversion that rounds is told in `notes`.
std::vector<double> make_values(const engine::Port& port, std::string_view value,
                                std::uint64_t seed, std::vector<std::string>& notes);

// "y: fp16 [1, 8]  min -1 max 2.5 mean 0.25", and how many values are not finite.
std::string summarize(const engine::Port& port, const std::vector<double>& values);

// Writes an .npy file; bf16 becomes fp32, which is told in `notes`. Throws Error.
void write_values(const engine::Port& port, const std::vector<double>& values,
                  std::string_view path, std::vector<std::string>& notes);

}  // namespace anemone::cli

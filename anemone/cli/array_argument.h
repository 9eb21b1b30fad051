// The arrays named on the command line of `anemone run`: --input NAME=VALUE, --output NAME=@FILE.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/engine/surface.h"

namespace anemone::cli {

// "x=@x.npy" → name x, value "@x.npy". Throws UsageError when a part is missing; `forms` says what
// may stand behind the '='.
struct ArrayArgument {
  std::string name, value;
};
inline constexpr const char* kInputForms = "@FILE.npy, zeros, random or a number";
inline constexpr const char* kOutputForms = "FILE.npy or @FILE.npy";
ArrayArgument parse_array_argument(std::string_view text, std::string_view flag,
                                   std::string_view forms);

// The values for `port` that `value` means: @FILE.npy, zeros, random (uniform in [-1, 1); whole
// numbers 0 and 1), or one number for every element. Throws Error when a file does not fit the
// port, UsageError when `value` does not; a conversion that rounds is told in `notes`.
std::vector<double> make_values(const engine::Port& port, std::string_view value,
                                std::uint64_t seed, std::vector<std::string>& notes);

// "y: fp16 [1, 8]  min -1 max 2.5 mean 0.25", and how many values are not finite.
std::string summarize(const engine::Port& port, const std::vector<double>& values);

// Writes an .npy file; bf16 becomes fp32, which is told in `notes`. Throws Error.
void write_values(const engine::Port& port, const std::vector<double>& values,
                  std::string_view path, std::vector<std::string>& notes);

}  // namespace anemone::cli

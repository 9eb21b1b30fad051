// Rewrites a function to one packed input and one packed output along the channel axis, as the
// Neural Engine wants it: slices in front of the body, one concat behind it. Ports that are [1, C,
// 1, S] with the S and element type of the first such port are packed; others (weights given at
// run time, a loss) stay inputs and outputs of their own behind it.
//
// Nobody computes a channel offset by hand: the layout returned says where each named tensor lies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/mil/ir.h"

namespace anemone::mil {

// Where a named tensor lies among the inputs (outputs) of the packed function.
struct PackedPort {
  std::string name;
  std::int64_t channel = 0;   // its first channel in the packed tensor [1, C, 1, S]
  std::int64_t channels = 0;  // 0: it is not packed but the whole buffer
  int buffer = 0;             // index of the packed function's input (output)
};

struct PackedLayout {
  std::vector<PackedPort> inputs;  // in the function's order
  std::vector<PackedPort> outputs;
  std::int64_t input_channels = 0;  // of the packed tensor: the sum
  std::int64_t output_channels = 0;
};

inline constexpr std::int64_t kMaxPackedChannels =
    65536;  // a tensor dimension's limit on the Neural Engine

// Names of the packed tensors. A function with one input (output) to pack keeps it as it is, under
// its own name.
inline constexpr std::string_view kPackedInput = "x_packed";
inline constexpr std::string_view kPackedOutput = "y_packed";

// Throws Error, naming `program`, when the channels exceed kMaxPackedChannels.
PackedLayout pack_io(Function& function, const std::string& program = "program");

}  // namespace anemone::mil

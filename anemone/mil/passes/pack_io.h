// Rewrites a function to one packed input and one packed output along the channel axis, as the
// Neural Engine wants it: slices in front of the body, one concat behind it. Every port must be [1,
// C, 1, S] with the same S and element type.
//
// Nobody computes a channel offset by hand: the layout returned says where each named tensor lies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/mil/ir.h"

namespace anemone::mil {

// Where a named tensor [1, channels, 1, S] lies inside a packed tensor [1, C, 1, S].
struct PackedPort {
  std::string name;
  std::int64_t channel = 0;  // first channel
  std::int64_t channels = 0;
};

struct PackedLayout {
  std::vector<PackedPort> inputs;  // in the function's order
  std::vector<PackedPort> outputs;
  std::int64_t input_channels = 0;  // the sum
  std::int64_t output_channels = 0;
};

inline constexpr std::int64_t kMaxPackedChannels =
    65536;  // a tensor dimension's limit on the Neural Engine

// Names of the packed tensors. A function with one input (output) keeps it as it is, under its own
// name.
inline constexpr std::string_view kPackedInput = "x_packed";
inline constexpr std::string_view kPackedOutput = "y_packed";

// Throws Error, naming `program`, when a port has another shape or the channels exceed
// kMaxPackedChannels.
PackedLayout pack_io(Function& function, const std::string& program = "program");

}  // namespace anemone::mil

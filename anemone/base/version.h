// What was built, from which commit, how: for `anemone version`, reports and checkpoints.
#pragma once

#include <string_view>

namespace anemone {

struct BuildInfo {
  std::string_view version;     // "0.1.0"
  std::string_view git;         // `git describe --always --dirty`, or "unknown" outside a checkout
  std::string_view build_type;  // "release", "debug (address,undefined)"
  std::string_view compiler;    // "GNU 12.2.0"
};

// Generated from version.cpp.in at every build.
const BuildInfo& build_info();

}  // namespace anemone

// The program `anemone`: prints what it is.
#include <fmt/core.h>

#include "anemone/base/version.h"

int main() {
  const anemone::BuildInfo& build = anemone::build_info();
  fmt::print("anemone {} ({}, {}, {})\n", build.version, build.git, build.build_type,
             build.compiler);
  return 0;
}

// `anemone version`: what was built, from which commit, with what, and what this machine can use.
#include "anemone/base/version.h"

#include <fmt/core.h>

#include "anemone/base/cpu_features.h"
#include "anemone/cli/command.h"

namespace anemone::cli {
namespace {

std::string isa_list() {
  std::string list;
#define ANEMONE_APPEND(isa, text) \
  if (cpu_features().has(Isa::isa)) list += list.empty() ? text : " " text;
  ANEMONE_ISAS(ANEMONE_APPEND)
#undef ANEMONE_APPEND
  return list;
}

Run setup_version(CLI::App&) {
  return [] {
    const BuildInfo& build = build_info();
    fmt::print("anemone {}\n", build.version);
    fmt::print("  commit     {}\n", build.git);
    fmt::print("  build      {}\n", build.build_type);
    fmt::print("  compiler   {}\n", build.compiler);
    fmt::print("  processor  {}\n", cpu_model_name());
    fmt::print("  ISA        {}\n", isa_list());
    return kExitOk;
  };
}

}  // namespace

const Command version_command = {"version", "Show what was built and what this processor can use",
                                 "  anemone version", setup_version};

}  // namespace anemone::cli

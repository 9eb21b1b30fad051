// See engine_name.h.
#include "anemone/cli/engine_name.h"

#include <fmt/format.h>

#include <string>

#include "anemone/engine/engines.h"

namespace anemone::cli {

CLI::Validator engine_name() {
  const auto problem = [](std::string& name) -> std::string {
    std::string known = "auto";
    bool is_known = name == known;
    for (const engine::EngineEntry& entry : engine::engines()) {
      is_known |= entry.name == name;
      known += fmt::format(", {}", entry.name);
    }
    return is_known ? "" : fmt::format("no engine '{}' (expected {})", name, known);
  };
  return CLI::Validator(problem, "");
}

}  // namespace anemone::cli

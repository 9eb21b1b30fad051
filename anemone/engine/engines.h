// The list of engines: what exists, what can be had here, and how to get it by name.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "anemone/engine/engine.h"

namespace anemone::engine {

struct EngineEntry {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<Engine> (*make)(const EngineOptions&);
  Support (*support)();
};

std::span<const EngineEntry> engines();

// "reference", "cpu", …; "auto" = the best one that can be had. Throws Error naming the engines
// there are and why one is absent.
std::unique_ptr<Engine> make_engine(std::string_view name, const EngineOptions& options);

}  // namespace anemone::engine

// The Neural Engine of a Mac: legal programs (legalize.h) on Apple's private framework (driver/).
// docs/ane.md says how it works and what is proved how.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "anemone/engine/ane/driver/compile_service.h"
#include "anemone/engine/ane/target.h"
#include "anemone/engine/engine.h"

namespace anemone::engine::ane {

struct AneOptions {
  EngineOptions engine;
  std::shared_ptr<const Framework> framework;  // null: the system's
  ServiceOptions service;
  bool map_surfaces = false;
};

// Throws Error saying why there is none.
std::unique_ptr<Engine> make_engine(const AneOptions& options);
Support support();

// What the driver finds on this machine, for `doctor`: name and value. Never throws.
using Facts = std::vector<std::pair<std::string, std::string>>;
Facts facts();

}  // namespace anemone::engine::ane

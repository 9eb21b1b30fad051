// The CPU engine: compiles a function into a vector of calls on anemone/compute.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "anemone/base/cpu_features.h"
#include "anemone/engine/engine.h"

namespace anemone::cpu {

struct CpuEngineOptions {
  engine::EngineOptions engine;
  CpuFeatures features = cpu_features();      // tests: lesser machines
  std::vector<std::string> disabled_fusions;  // debugging, tests: names of fusion.inc
};

// Throws Error if its threads cannot be started.
std::unique_ptr<engine::Engine> make_engine(const CpuEngineOptions& options);

}  // namespace anemone::cpu

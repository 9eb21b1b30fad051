// What a parametrized test goes through: every engine that can be had here, every partition.
#pragma once

#include <string>
#include <vector>

#include "anemone/engine/engines.h"
#include "anemone/nn/layer.h"

namespace anemone::train {

inline std::vector<std::string> engine_names() {
  std::vector<std::string> names;
  for (const engine::EngineEntry& entry : engine::engines())
    if (entry.support().ok) names.emplace_back(entry.name);
  return names;
}

inline std::vector<std::string> partition_names() {
  std::vector<std::string> names;
  for (const nn::Partition& partition : nn::partitions()) names.emplace_back(partition.name);
  return names;
}

}  // namespace anemone::train

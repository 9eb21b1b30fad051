// The list of engines: what exists, what can be had here, and how to get it by name.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
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

// Throws Error unless there is such an arithmetic and the engine can compute by it: "exact" for
// every engine, the others (numerics.h) for the reference engine.
void check_numerics(std::string_view engine, std::string_view numerics);

// "reference", "cpu", …; "auto" = the best one that can be had and computes as asked. Throws Error
// naming the engines there are and why one is absent.
std::unique_ptr<Engine> make_engine(std::string_view name, const EngineOptions& options);

// The same for a purpose: `auto` passes over engines that `takes` refuses, and tells `message` why
// whenever an engine is missed that this kind of machine usually has, or that is there but refuses.
// Any other name is that engine, whatever it takes.
std::unique_ptr<Engine> choose_engine(std::string_view name, const EngineOptions& options,
                                      const std::function<Support(Engine&)>& takes,
                                      const std::function<void(const std::string&)>& message);

}  // namespace anemone::engine

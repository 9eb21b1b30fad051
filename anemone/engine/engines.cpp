// The list of engines, from engines.inc.
#include "anemone/engine/engines.h"

#include <array>
#include <string>

#include "anemone/base/error.h"

namespace anemone::engine {

#define ENGINE(name, summary)                                         \
  std::unique_ptr<Engine> make_##name##_engine(const EngineOptions&); \
  Support name##_engine_support();
#include "anemone/engine/engines.inc"
#undef ENGINE

namespace {

constexpr std::array kEngines = {
#define ENGINE(name, summary) \
  EngineEntry{#name, summary, make_##name##_engine, name##_engine_support},
#include "anemone/engine/engines.inc"
#undef ENGINE
};

// "reference, cpu, ane (not here: …)"
std::string what_there_is() {
  std::string text;
  for (const EngineEntry& entry : kEngines) {
    const Support support = entry.support();
    text += (text.empty() ? "" : ", ") + std::string(entry.name);
    if (!support.ok) text += " (not here: " + support.reason + ")";
  }
  return text;
}

}  // namespace

std::span<const EngineEntry> engines() { return kEngines; }

std::unique_ptr<Engine> make_engine(std::string_view name, const EngineOptions& options) {
  if (name == "auto") {
    for (auto entry = kEngines.rbegin(); entry != kEngines.rend(); ++entry) {
      if (entry->support().ok) return entry->make(options);
    }
  }
  for (const EngineEntry& entry : kEngines) {
    if (entry.name != name) continue;
    const Support support = entry.support();
    if (!support.ok) {
      throw Error("the engine " + std::string(name) + " cannot be had here: " + support.reason);
    }
    return entry.make(options);
  }
  throw Error("there is no engine called \"" + std::string(name) + "\"", {},
              "auto or one of " + what_there_is());
}

}  // namespace anemone::engine

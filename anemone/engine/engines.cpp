// The list of engines, from engines.inc.
#include "anemone/engine/engines.h"

#include <array>
#include <string>

#include "anemone/base/error.h"
#include "anemone/engine/numerics.h"

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

constexpr std::string_view kOracle = "reference";  // rounds every value, so it can do so otherwise

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

void check_numerics(std::string_view engine, std::string_view numerics) {
  if (make_numerics(numerics) == nullptr || engine == "auto" || engine == kOracle) return;
  throw Error("the engine " + std::string(engine) + " does not emulate other arithmetics",
              "numerics " + std::string(numerics),
              "the engine " + std::string(kOracle) + ", or auto");
}

std::unique_ptr<Engine> make_engine(std::string_view name, const EngineOptions& options) {
  check_numerics(name, options.numerics);
  if (options.numerics != kExactNumerics) name = kOracle;
  if (name == "auto") {
    return choose_engine(
        name, options, [](Engine&) { return Support(); }, [](const std::string&) {});
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

std::unique_ptr<Engine> choose_engine(std::string_view name, const EngineOptions& options,
                                      const std::function<Support(Engine&)>& takes,
                                      const std::function<void(const std::string&)>& message) {
  if (name != "auto" || options.numerics != kExactNumerics) return make_engine(name, options);
  for (auto entry = kEngines.rbegin(); entry != kEngines.rend(); ++entry) {
    const std::string called = "the engine " + std::string(entry->name);
    if (const Support support = entry->support(); !support.ok) {
      if (support.expected)
        message(called + " cannot be had here and is not used: " + support.reason);
      continue;
    }
    std::unique_ptr<Engine> engine = entry->make(options);
    const Support support = takes(*engine);
    if (support.ok) return engine;
    message(called + " does not take this and is not used: " + support.reason);
  }
  throw Error("no engine takes this", {}, "another program, or one engine by name");
}

}  // namespace anemone::engine

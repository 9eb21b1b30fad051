// The cpu engine on every instruction set of this machine and several numbers of threads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "anemone/engine/cpu/cpu_engine.h"

namespace anemone::test {

// The levels this machine has, least first.
inline std::vector<Isa> isas_here() {
  std::vector<Isa> isas;
#define ANEMONE_APPEND(name, text) \
  if (cpu_features().has(Isa::name)) isas.push_back(Isa::name);
  ANEMONE_ISAS(ANEMONE_APPEND)
#undef ANEMONE_APPEND
  return isas;
}

inline std::unique_ptr<engine::Engine> cpu_engine(Isa isa, int threads) {
  cpu::CpuEngineOptions options;
  options.features = cpu_features().capped(isa);
  options.engine.threads = threads;
  return cpu::make_engine(options);
}

struct CpuSetup {
  std::string name;
  std::unique_ptr<engine::Engine> engine;
};

// Every instruction set, with 1 to 4 threads in turn.
inline std::vector<CpuSetup> cpu_setups() {
  std::vector<CpuSetup> setups;
  int threads = 1;
  for (const Isa isa : isas_here()) {
    setups.push_back({std::string(isa_name(isa)) + ", " + std::to_string(threads) + " threads",
                      cpu_engine(isa, threads)});
    threads = threads % 4 + 1;
  }
  return setups;
}

}  // namespace anemone::test

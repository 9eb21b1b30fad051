// The cpu engine on every instruction set of this machine, AMX also where it has to be emulated,
// and several numbers of threads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "anemone/engine/cpu/cpu_engine.h"
#include "tests/engine/oracle.h"
#include "tests/support/amx.h"

namespace anemone::test {

// Least first.
inline std::vector<Isa> isas_here() {
  std::vector<Isa> isas;
#define ANEMONE_APPEND(name, text) \
  if (amx_features().has(Isa::name)) isas.push_back(Isa::name);
  ANEMONE_ISAS(ANEMONE_APPEND)
#undef ANEMONE_APPEND
  return isas;
}

inline std::unique_ptr<engine::Engine> cpu_engine(Isa isa, int threads) {
  cpu::CpuEngineOptions options;
  options.features = amx_features().capped(isa);
  options.engine.threads = threads;
  return cpu::make_engine(options);
}

struct CpuSetup {
  std::string name;
  std::unique_ptr<engine::Engine> engine;
  bool has_amx = false;
};

// Every instruction set, with 1 to 4 threads in turn.
inline std::vector<CpuSetup> cpu_setups() {
  std::vector<CpuSetup> setups;
  int threads = 1;
  for (const Isa isa : isas_here()) {
    setups.push_back({std::string(isa_name(isa)) + ", " + std::to_string(threads) + " threads",
                      cpu_engine(isa, threads), isa == Isa::amx});
    threads = threads % 4 + 1;
  }
  return setups;
}

// What the setups may answer: AMX leaves out a little of products of whole fp16 operands.
class CpuExpected {
 public:
  CpuExpected(const mil::Function& function, const mil::TensorMap<double>& inputs,
              mil::ConstantSource& constants, OracleOptions options = {})
      : exact_(expect(function, inputs, constants, options)) {
    options.split_products = true;
    if (amx_features().has(Isa::amx)) split_ = expect(function, inputs, constants, options);
  }
  const Expected& of(const CpuSetup& setup) const { return setup.has_amx ? split_ : exact_; }

 private:
  Expected exact_, split_;
};

}  // namespace anemone::test

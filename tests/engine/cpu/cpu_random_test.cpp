// The cpu engine against the reference on random programs: each operation alone, then programs of
// many, on every instruction set of this machine.
#include <gtest/gtest.h>

#include "anemone/mil/random_program.h"
#include "tests/engine/cpu/cpu_setups.h"
#include "tests/engine/oracle.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

void check_program(mil::RandomProgram& random, const std::vector<CpuSetup>& setups,
                   const std::string& what) {
  const mil::TensorMap<double> inputs = random.inputs();
  const mil::Program program = random.finish();
  mil::ConstantSource constants;
  const CpuExpected expected(program.main(), inputs, constants);
  for (const CpuSetup& setup : setups) {
    const auto actual = run_on_engine(*setup.engine, program.main(), inputs, {});
    expect_close(actual, expected.of(setup), what + " on " + setup.name);
  }
}

TEST(CpuRandom, EachOperationAlone) {
  const std::vector<CpuSetup> setups = cpu_setups();
  for (const mil::OpDef* def : mil::all_ops()) {
    if (def->kind == mil::OpKind::const_) continue;
    for (std::uint64_t seed = 0; seed < 40 && !HasFailure(); ++seed) {
      mil::RandomProgram::Options options;
      options.max_dim = seed % 4 == 0 ? 37 : 6;
      mil::RandomProgram random(seed, options);
      ASSERT_TRUE(random.grow(def->kind)) << def->name;
      check_program(random, setups, std::string(def->name) + ", seed " + std::to_string(seed));
    }
  }
}

TEST(CpuRandom, ProgramsOfManyOperations) {
  const std::vector<CpuSetup> setups = cpu_setups();
  for (std::uint64_t seed = 0; seed < 400 && !HasFailure(); ++seed) {
    mil::RandomProgram::Options options;
    options.ops = 6 + static_cast<int>(seed % 30);
    mil::RandomProgram random(1000 + seed, options);
    random.grow();
    check_program(random, setups, "seed " + std::to_string(1000 + seed));
  }
}

}  // namespace
}  // namespace anemone::test

// Running a compiled program and updating its weights allocates nothing.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/engine/cpu/cpu_setups.h"
#include "tests/support/allocation_count.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

TEST(CpuAllocation, RunsAndUpdatesAllocateNothing) {
  const auto before = allocation_count();
  if (!before) GTEST_SKIP() << "allocations are not counted in this build";
  void* volatile memory = std::malloc(1);  // volatile: a pair that nobody sees may be left out
  std::free(memory);
  ASSERT_GT(*allocation_count(), *before) << "malloc is not interposed";

  nn::ModelConfig config;
  config.dim = 48;
  config.hidden = 64;
  config.heads = 4;
  config.seq = 33;
  const LayerCase layer(config, 3);
  const auto engine = cpu_engine(isas_here().back(), 2);
  for (const nn::Kernel& kernel : nn::layer_step(layer.config, "merged").kernels) {
    engine::CompileOptions options;
    options.weights = &layer.weights;
    const auto executable = engine->compile(kernel.program.main(), options);
    std::vector<std::unique_ptr<engine::Surface>> surfaces;
    std::vector<engine::Surface*> inputs, outputs;
    for (const engine::BufferSpec& spec : executable->input_buffers())
      inputs.push_back(surfaces.emplace_back(engine->make_surface(spec)).get());
    for (const engine::BufferSpec& spec : executable->output_buffers())
      outputs.push_back(surfaces.emplace_back(engine->make_surface(spec)).get());
    const auto binding = executable->bind(inputs, outputs);
    const auto start = allocation_count();
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(binding->run().ok());
      ASSERT_TRUE(executable->update_weights().ok());
    }
    EXPECT_EQ(allocation_count(), start) << kernel.name;
  }
}

}  // namespace
}  // namespace anemone::test

// Running a compiled program and updating its weights allocates nothing. malloc and its kin are
// interposed by this test program; sanitizers bring their own, so there the test is skipped.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "tests/engine/cpu/cpu_setups.h"
#include "tests/support/step_evaluator.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ANEMONE_COUNTS_ALLOCATIONS 1
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef ANEMONE_COUNTS_ALLOCATIONS
#endif
#endif
#endif

#ifdef ANEMONE_COUNTS_ALLOCATIONS

namespace {
std::atomic<long> allocations{0};
}

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(memory, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, bytes);
}
}

namespace anemone::test {
namespace {

TEST(CpuAllocation, RunsAndUpdatesAllocateNothing) {
  const long before = allocations.load();
  void* volatile memory = std::malloc(1);  // volatile: a pair that nobody sees may be left out
  std::free(memory);
  ASSERT_GT(allocations.load(), before) << "malloc is not interposed";

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
    const long start = allocations.load();
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(binding->run().ok());
      ASSERT_TRUE(executable->update_weights().ok());
    }
    EXPECT_EQ(allocations.load(), start) << kernel.name;
  }
}

}  // namespace
}  // namespace anemone::test

#endif  // ANEMONE_COUNTS_ALLOCATIONS

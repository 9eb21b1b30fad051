// The engine: its threads, and what it can take.
#include "anemone/engine/cpu/cpu_engine.h"

#include <utility>

#include "anemone/base/error.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/engine/cpu/executable.h"
#include "anemone/engine/engines.h"

namespace anemone::cpu {
namespace {

using engine::Support;

class Engine final : public engine::Engine {
 public:
  explicit Engine(const CpuEngineOptions& options)
      : options_(options),
        pool_(std::make_shared<compute::ThreadPool>(options.engine.threads > 0
                                                        ? options.engine.threads
                                                        : compute::default_thread_count())) {
    traits_.default_partition = "merged";
    traits_.runs_on_host = true;
  }

  std::string_view name() const override { return "cpu"; }
  const engine::EngineTraits& traits() const override { return traits_; }

  Support supports(const mil::Function& function) const override {
    std::string reason = unsupported_reason(function);
    return {reason.empty(), std::move(reason)};
  }

  std::unique_ptr<engine::Executable> compile(const mil::Function& function,
                                              const engine::CompileOptions& options) override {
    const std::string reason = unsupported_reason(function);
    if (!reason.empty()) throw Error(reason, options.name);
    try {
      return std::make_unique<Executable>(
          function, options,
          Executable::Setup{pool_, options_.features, options_.disabled_fusions,
                            options_.engine.profile});
    } catch (const Error& error) {
      throw Error(error.what(), options.name);
    }
  }

  std::unique_ptr<engine::Surface> make_surface(const engine::BufferSpec& spec) override {
    return std::make_unique<engine::HostSurface>(spec.bytes);
  }

  std::shared_ptr<compute::ThreadPool> host_threads() const override { return pool_; }

 private:
  CpuEngineOptions options_;
  std::shared_ptr<compute::ThreadPool> pool_;
  engine::EngineTraits traits_;
};

}  // namespace

std::unique_ptr<engine::Engine> make_engine(const CpuEngineOptions& options) {
  return std::make_unique<Engine>(options);
}

}  // namespace anemone::cpu

namespace anemone::engine {

std::unique_ptr<Engine> make_cpu_engine(const EngineOptions& options);
Support cpu_engine_support();

std::unique_ptr<Engine> make_cpu_engine(const EngineOptions& options) {
  return cpu::make_engine({.engine = options});
}
Support cpu_engine_support() { return {}; }

}  // namespace anemone::engine

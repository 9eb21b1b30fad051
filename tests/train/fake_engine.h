// An engine around another one: with other traits, results spoiled on purpose, and failures on
// demand.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "anemone/engine/engine.h"

namespace anemone::test {

class FakeEngine final : public engine::Engine {
 public:
  // Keeps a reference.
  explicit FakeEngine(engine::Engine& inner) : traits_(inner.traits()), inner_(inner) {}

  // After run number `run` (from 0) of program `kernel`, every element of output `port` becomes
  // `value`.
  struct Spoil {
    std::string kernel, port;
    int run = 0;
    double value = 0;
  };
  std::vector<Spoil> spoils;
  // Instead of a run or new weights, where it returns a failure. The run's number counts from 0.
  std::function<Status(const std::string& kernel, int run)> on_run;
  std::function<Status(const std::string& kernel)> on_update;
  // Surfaces made from then on keep a thread that did not make them, a background job, waiting for
  // so long before it may read.
  std::chrono::milliseconds background_read{0};

  engine::EngineTraits& change_traits() { return traits_; }
  int runs(const std::string& kernel) const;

  std::string_view name() const override { return "fake"; }
  const engine::EngineTraits& traits() const override { return traits_; }
  engine::Support supports(const mil::Function& function) const override {
    return inner_.supports(function);
  }
  std::unique_ptr<engine::Executable> compile(const mil::Function& function,
                                              const engine::CompileOptions& options) override;
  std::unique_ptr<engine::Surface> make_surface(const engine::BufferSpec& spec) override;

 private:
  friend class FakeExecutable;
  friend class FakeBinding;
  engine::EngineTraits traits_;
  engine::Engine& inner_;
  std::map<std::string, int> runs_;
};

}  // namespace anemone::test

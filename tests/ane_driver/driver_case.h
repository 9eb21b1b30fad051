// A small program on the engine `ane` over the fake framework, with a clock that does not wait.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "anemone/engine/ane/ane_engine.h"
#include "anemone/mil/builder.h"
#include "anemone/mil/weight_store.h"
#include "tests/support/fake_ane.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {

// Sleeping only moves it on. A call that the fake framework holds is overdue at once, any other
// never is: no test depends on how fast a machine is.
class TestClock final : public engine::ane::Clock {
 public:
  engine::ane::Milliseconds now() override { return now_; }
  void sleep(engine::ane::Milliseconds duration) override {
    now_ += duration;
    slept += duration;
  }
  bool wait(std::condition_variable& change, std::unique_lock<std::mutex>& lock, const bool& done,
            engine::ane::Milliseconds limit) override;
  engine::ane::Milliseconds slept{0};

 private:
  engine::ane::Milliseconds now_{1000000};
};

// A program with surfaces of its own.
struct Ready {
  std::unique_ptr<engine::Executable> executable;
  std::vector<std::unique_ptr<engine::Surface>> inputs, outputs;
  std::unique_ptr<engine::Binding> binding;

  void bind(engine::Engine& engine);
  void write(std::string_view name, std::span<const double> values);
  std::vector<double> read(std::string_view name);
};

// sum = x + x2;  y = W sum;  [1, 2, 1, 40] each, W in the store (the unit matrix at first).
class DriverCase {
 public:
  static constexpr std::int64_t kChannels = 2, kPositions = 40;

  DriverCase();

  engine::Engine& engine();  // made at the first call
  Ready make_ready();
  // Runs on x = 1, 2, …, x2 = 1; true if `sum` and `y` are what they must be.
  bool is_right(Ready& ready);

  engine::ane::AneOptions options;
  engine::CompileOptions compile;
  TestClock clock;
  TemporaryDirectory failures;
  mil::Program program;
  mil::Program difference;  // the same with sum = x - x2
  mil::WeightStore store;
  std::vector<float> weights{1, 0, 0, 1};

 private:
  std::unique_ptr<engine::Engine> engine_;
};

}  // namespace anemone::test

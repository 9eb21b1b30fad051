#include "tests/ane_driver/engine_scenario.h"

#include "anemone/base/error.h"

namespace anemone::test {
namespace {

using Numbers = std::vector<double>;

constexpr auto kValues = static_cast<std::size_t>(DriverCase::kChannels * DriverCase::kPositions);
constexpr long kRowBytes = DriverCase::kPositions * 2;
constexpr int kBuffers = 2;  // packed: one input, one output

Numbers some_values(int seed) {
  Numbers values(kValues);
  for (std::size_t i = 0; i < kValues; ++i)
    values[i] = static_cast<double>((i * 7 + static_cast<std::size_t>(seed) * 5) % 17) - 8;
  return values;
}

Numbers expected_sum(Numbers x, const Numbers& x2, bool subtract) {
  for (std::size_t i = 0; i < kValues; ++i) x[i] += subtract ? -x2[i] : x2[i];
  return x;
}

Numbers expected_y(const Numbers& sum, const std::vector<float>& weights) {
  Numbers y(kValues);
  constexpr std::size_t kCount = kValues / 2;
  for (std::size_t i = 0; i < kValues; ++i) {
    const std::size_t row = i / kCount * 2, at = i % kCount;
    y[i] = weights[row] * sum[at] + weights[row + 1] * sum[kCount + at];
  }
  return y;
}

class EngineScenario {
 public:
  EngineScenario(FaultRun& run, bool together)
      : run_(run), functions_(together ? 2 : 1), ready_(functions_) {
    case_.options.service.clock = &run.clock;
    case_.options.engine.multi_function = together;
  }

  void play() {
    if (compile() && bind()) {
      bool well = run_all();
      for (int version = 2; version < 4; ++version) {
        well = update(version) && well;
        well = run_all() && well;
      }
      run_.complete = well;
    }
    run_.compiles = case_.engine().compiles_used();
  }

 private:
  bool compile() {
    const bool compiled = run_.step("compile", run_.foretold.build(false), [&] {
      std::vector<engine::CompileItem> items = {{&case_.program.main(), case_.compile}};
      if (functions_ == 2) items.push_back({&case_.difference.main(), case_.compile});
      auto executables = case_.engine().compile_together(items);
      for (std::size_t i = 0; i < functions_; ++i) ready_[i].executable = std::move(executables[i]);
    });
    if (compiled) remember_layout();
    return compiled;
  }

  bool bind() {
    Foretold& foretold = run_.foretold;
    for (Ready& ready : ready_) {
      const bool bound =
          foretold.make_surface() && foretold.make_surface() && foretold.make_request(kBuffers);
      if (!run_.step("bind", bound, [&] { ready.bind(case_.engine()); })) return false;
    }
    return true;
  }

  void remember_layout() {
    row_stride_ = run_.foretold.row_stride(kRowBytes);
    surfaces_fit_ = run_.foretold.surfaces_fit(kRowBytes);
  }

  bool lock(const char* what, const std::function<void()>& call) {
    return run_.step(what, run_.foretold.lock(), call);
  }

  bool run_all() {
    bool well = true;
    for (std::size_t i = 0; i < functions_; ++i) well = run_once(ready_[i], i == 1) && well;
    return well;
  }

  bool run_once(Ready& ready, bool subtract) {
    const Numbers x = some_values(1), x2 = some_values(2);
    const bool ran = lock("writing x", [&] { ready.write("x", x); }) &&
                     lock("writing x2", [&] { ready.write("x2", x2); }) &&
                     run_.step("run", run_.foretold.evaluate(surfaces_fit_),
                               [&] { throw_if_failed(ready.binding->run()); });
    Numbers sum, y;
    if (!ran || !lock("reading sum", [&] { sum = ready.read("sum"); }) ||
        !lock("reading y", [&] { y = ready.read("y"); })) {
      return false;
    }
    if (sum != expected_sum(x, x2, subtract)) run_.wrong += "wrong sum; ";
    if (y != expected_y(sum, case_.weights)) run_.wrong += "wrong y; ";
    return true;
  }

  // All functions of a program get them at once. Where it fails the old weights stay in use.
  bool update(int version) {
    const std::vector<float> old = case_.weights;
    const auto number = static_cast<float>(version);
    case_.weights = {number, 1, -1, -number};
    Foretold& foretold = run_.foretold;
    const bool built = foretold.build(false);
    const bool same_places =
        foretold.row_stride(kRowBytes) == row_stride_ || !foretold.strides_told();
    bool must_succeed = built && same_places;
    for (std::size_t i = 0; i < functions_; ++i)
      must_succeed = must_succeed && foretold.make_request(kBuffers);
    const bool updated = run_.step("new weights", must_succeed, [&] {
      throw_if_failed(ready_[0].executable->update_weights());
    });
    if (built) foretold.unload();  // the old program or the new one
    if (updated) remember_layout();
    if (!updated) case_.weights = old;
    return updated;
  }

  FaultRun& run_;
  std::size_t functions_;
  DriverCase case_;
  std::vector<Ready> ready_;
  long row_stride_ = 0;
  bool surfaces_fit_ = true;
};

}  // namespace

void play_engine_scenario(FaultRun& run, bool together) { EngineScenario(run, together).play(); }

}  // namespace anemone::test

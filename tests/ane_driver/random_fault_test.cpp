// Random fault scripts against the driver on the fake framework. Under each a program is built,
// run, and given new weights, while calls fail as the script says; the driver must do exactly what
// the policy of docs/ane.md asks for (fault_plan.h), and whatever succeeds must have the right
// values.
#include <gtest/gtest.h>

#include <span>
#include <thread>

#include "anemone/engine/ane/driver/compile_service.h"
#include "anemone/engine/ane/driver/request.h"
#include "anemone/engine/ane/driver/surface.h"
#include "tests/ane_driver/fault_judge.h"
#include "tests/ane_driver/fault_programs.h"

namespace anemone::test {
namespace {

using namespace engine;
using namespace engine::ane;

constexpr int kEngineScripts = 2000, kDriverScripts = 1000;

void throw_if_failed(const Status& status) {
  if (!status.ok()) throw Error(status.message);
}

// The engine as the trainer uses it: compile, bind, run, new weights, run, new weights, run.
class EngineScenario {
 public:
  explicit EngineScenario(FaultRun& run) : run_(run) { case_.options.service.clock = &run.clock; }

  void play() {
    if (make_ready()) {
      bool well = run_once();
      for (int version = 2; version < 4; ++version) {
        well = update(version) && well;
        well = run_once() && well;
      }
      run_.complete = well;
    }
    run_.compiles = case_.engine().compiles_used();
  }

 private:
  static constexpr long kRowBytes = 40 * 2;  // of DriverCase's tensors
  static constexpr int kBuffers = 2;         // packed: one input, one output

  bool make_ready() {
    Foretold& foretold = run_.foretold;
    if (!run_.step("compile", foretold.build(false), [&] {
          ready_.executable = case_.engine().compile(case_.program.main(), case_.compile);
        })) {
      return false;
    }
    remember_layout();
    const bool bound =
        foretold.make_surface() && foretold.make_surface() && foretold.make_request(kBuffers);
    return run_.step("bind", bound, [&] { ready_.bind(case_.engine()); });
  }

  void remember_layout() {
    row_stride_ = run_.foretold.row_stride(kRowBytes);
    surfaces_fit_ = run_.foretold.surfaces_fit(kRowBytes);
  }

  bool lock(const char* what, const std::function<void()>& call) {
    return run_.step(what, run_.foretold.lock(), call);
  }

  bool run_once() {
    const std::vector<double> x = values(1), x2 = values(2);
    const bool ran = lock("writing x", [&] { ready_.write("x", x); }) &&
                     lock("writing x2", [&] { ready_.write("x2", x2); }) &&
                     run_.step("run", run_.foretold.evaluate(surfaces_fit_),
                               [&] { throw_if_failed(ready_.binding->run()); });
    std::vector<double> sum, y;
    if (!ran || !lock("reading sum", [&] { sum = ready_.read("sum"); }) ||
        !lock("reading y", [&] { y = ready_.read("y"); })) {
      return false;
    }
    if (sum != expected_sum(x, x2)) run_.wrong += "wrong sum; ";
    if (y != expected_y(sum)) run_.wrong += "wrong y; ";
    return true;
  }

  // Where it fails the old weights stay in use.
  bool update(int version) {
    const std::vector<float> old = case_.weights;
    const auto number = static_cast<float>(version);
    case_.weights = {number, 1, -1, -number};
    Foretold& foretold = run_.foretold;
    const bool built = foretold.build(false);
    const bool same_places =
        foretold.row_stride(kRowBytes) == row_stride_ || !foretold.strides_told();
    const bool must_succeed = built && same_places && foretold.make_request(kBuffers);
    const bool updated = run_.step("new weights", must_succeed,
                                   [&] { throw_if_failed(ready_.executable->update_weights()); });
    if (built) foretold.unload();  // the old program or the new one
    if (updated) remember_layout();
    if (!updated) case_.weights = old;
    return updated;
  }

  static std::vector<double> values(int seed) {
    std::vector<double> values(2 * 40);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<double>((i * 7 + static_cast<std::size_t>(seed) * 5) % 17) - 8;
    }
    return values;
  }
  static std::vector<double> expected_sum(std::vector<double> x, const std::vector<double>& x2) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += x2[i];
    return x;
  }
  std::vector<double> expected_y(const std::vector<double>& sum) const {
    std::vector<double> y(sum.size());
    const std::size_t count = sum.size() / 2;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t row = i / count * 2, at = i % count;
      y[i] = case_.weights[row] * sum[at] + case_.weights[row + 1] * sum[count + at];
    }
    return y;
  }

  FaultRun& run_;
  DriverCase case_;
  Ready ready_;
  long row_stride_ = 0;
  bool surfaces_fit_ = true;
};

TEST(AneRandomFaults, TheEngine) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  run_fault_scripts(fake, kEngineScripts, [](std::mt19937& random, FaultPlan& plan) {
    plan = random_fault_plan(random, true);
    return [](FaultRun& run) { EngineScenario(run).play(); };
  });
}

Port port_of(const DeclaredTensor& tensor, const TensorLayout& layout) {
  Port port;
  port.name = tensor.name;
  port.dtype = tensor.type.dtype;
  port.shape = tensor.type.shape;
  const int rank = port.shape.rank();
  for (int axis = 0; axis < rank; ++axis) {
    port.strides[static_cast<std::size_t>(axis)] =
        layout.strides[4 - rank + axis] / static_cast<std::int64_t>(dtype_size(port.dtype));
  }
  return port;
}

BufferSpec spec_of(const DeclaredTensor& tensor, const TensorLayout& layout) {
  BufferSpec spec;
  spec.name = tensor.name;
  spec.bytes = static_cast<std::size_t>(layout.bytes);
  spec.element_bytes = dtype_size(tensor.type.dtype);
  spec.row_elements = static_cast<std::size_t>(layout.dims[3]);
  spec.row_bytes = static_cast<std::size_t>(layout.strides[2]);
  return spec;
}

// The driver below the engine, with what legal programs do not show: rows of any length, several
// inputs and outputs, several functions, two programs in use at once.
class DriverScenario {
 public:
  DriverScenario(FaultRun& run, const FaultProgram& program, const std::filesystem::path& failures)
      : run_(run),
        program_(program),
        framework_(Framework::open()),
        service_(framework_, {&run.clock, Milliseconds(60000), failures}) {}

  void play() {
    const bool first = build_and_run(0, false);
    // A second model of a program without weights has the same name as the first.
    run_.complete = first && build_and_run(1, !program_.has_weights());
    while (!models_.empty()) models_.pop_back();
    run_.compiles = service_.compiles();
  }

 private:
  using Surfaces = std::vector<std::unique_ptr<IoSurface>>;

  bool build_and_run(int version, bool held) {
    const ModelSource source = program_.source(version);
    if (!run_.step("build", run_.foretold.build(held),
                   [&] { models_.push_back(service_.build(source)); })) {
      return false;
    }
    for (std::size_t i = 0; i < source.functions.size(); ++i) {
      if (!bind_and_run(source.functions[i], i, version)) return false;
    }
    return true;
  }

  bool make_surfaces(const std::vector<DeclaredTensor>& tensors,
                     const std::vector<TensorLayout>& layouts, Surfaces& surfaces) {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const BufferSpec spec = spec_of(tensors[i], layouts[i]);
      if (!run_.step("making a surface", run_.foretold.make_surface(),
                     [&] { surfaces.push_back(std::make_unique<IoSurface>(framework_, spec)); })) {
        return false;
      }
    }
    return true;
  }

  bool bind_and_run(const DeclaredFunction& function, std::size_t index, int version) {
    const Model& model = *models_.back();
    const FunctionLayout& layout = model.layout().functions[index];
    Surfaces inputs, outputs;
    if (!make_surfaces(function.inputs, layout.inputs, inputs) ||
        !make_surfaces(function.outputs, layout.outputs, outputs)) {
      return false;
    }
    std::vector<IoSurface*> in, out;
    for (const auto& surface : inputs) in.push_back(surface.get());
    for (const auto& surface : outputs) out.push_back(surface.get());
    std::unique_ptr<Request> request;
    const bool map = (index + static_cast<std::size_t>(version)) % 2 == 0;
    const int count = static_cast<int>(in.size() + out.size());
    if (!run_.step("making the request", run_.foretold.make_request(count), [&] {
          request = std::make_unique<Request>(model, index, in, out, run_.clock, map);
        })) {
      return false;
    }
    const Shape& shape = function.inputs[0].type.shape;
    const bool fit = run_.foretold.surfaces_fit(static_cast<long>(shape[shape.rank() - 1]) * 2);
    if (!write(function, layout, index, inputs)) return false;
    for (int time = 0; time < 2; ++time) {
      if (!evaluate(*request, fit) || !read(function, layout, index, version, outputs)) {
        return false;
      }
    }
    return true;
  }

  bool write(const DeclaredFunction& function, const FunctionLayout& layout, std::size_t index,
             const Surfaces& surfaces) {
    for (std::size_t i = 0; i < surfaces.size(); ++i) {
      const bool written = run_.step("locking an input", run_.foretold.lock(), [&] {
        const HostAccess access(*surfaces[i], Access::write);
        write_port(access.data(), port_of(function.inputs[i], layout.inputs[i]),
                   std::span<const double>(program_.inputs()[index][i]));
      });
      if (!written) return false;
    }
    return true;
  }

  bool evaluate(Request& request, bool surfaces_fit) {
    return run_.step("evaluate", run_.foretold.evaluate(surfaces_fit),
                     [&] { throw_if_failed(request.run()); });
  }

  bool read(const DeclaredFunction& function, const FunctionLayout& layout, std::size_t index,
            int version, const Surfaces& surfaces) {
    for (std::size_t i = 0; i < surfaces.size(); ++i) {
      const Values& expected = program_.expected(version)[index][i];
      Values values(expected.size());
      const bool got = run_.step("locking an output", run_.foretold.lock(), [&] {
        const HostAccess access(*surfaces[i], Access::read);
        read_port(access.data(), port_of(function.outputs[i], layout.outputs[i]),
                  std::span<double>(values));
      });
      if (!got) return false;
      if (values != expected) run_.wrong += "wrong values of " + function.outputs[i].name + "; ";
    }
    return true;
  }

  FaultRun& run_;
  const FaultProgram& program_;
  std::shared_ptr<const Framework> framework_;
  CompileService service_;
  std::vector<std::unique_ptr<Model>> models_;
};

TEST(AneRandomFaults, TheDriver) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const TemporaryDirectory failures;
  const auto& programs = fault_programs();
  run_fault_scripts(fake, kDriverScripts, [&](std::mt19937& random, FaultPlan& plan) {
    const FaultProgram& program = *programs[random() % programs.size()];
    plan = random_fault_plan(random, program.in_order_by_name());
    return [&](FaultRun& run) { DriverScenario(run, program, failures.path()).play(); };
  });
}

// A call that does not return is reported after the limit, the process compiles nothing more, and
// when the call returns after all nothing is left behind.
TEST(AneRandomFaults, CallsThatDoNotReturn) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const TemporaryDirectory failures;
  const FaultProgram& program = *fault_programs()[0];
  const long before = fake.live();
  for (const char* script :
       {"compile 1 hang 300", "load 1 hang 300", "compile 1 late 300", "load 1 late 300"}) {
    fake.script(script);
    TestClock clock;
    CompileService service(Framework::open(), {&clock, Milliseconds(30), failures.path()});
    try {
      service.build(program.source(0));
      ADD_FAILURE() << "built";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("does not return"), std::string::npos)
          << error.what();
    }
    const long compiles = fake.count("compileWithQoS:options:error:");
    EXPECT_THROW(service.build(program.source(1)), Error);
    EXPECT_EQ(fake.count("compileWithQoS:options:error:"), compiles);
    for (int tries = 0; tries < 500 && fake.live() != before; ++tries) {
      std::this_thread::sleep_for(Milliseconds(10));
    }
    EXPECT_EQ(fake.live(), before) << script << "\n" << fake.describe_live();
    EXPECT_EQ(fake.loaded_programs(), 0) << script;
    EXPECT_EQ(fake.violations(), "") << script;
    EXPECT_EQ(fake.left_files(), "") << script;
  }
}

}  // namespace
}  // namespace anemone::test

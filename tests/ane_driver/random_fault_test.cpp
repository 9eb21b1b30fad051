// Random fault scripts against the driver on the fake framework. Under each a program is built,
// run, and given new weights, while calls fail, hang and raise exceptions as the script says; the
// driver must do exactly what the policy of docs/ane.md asks for (fault_plan.h), and whatever
// succeeds must have the right values.
#include <gtest/gtest.h>

#include <span>
#include <thread>

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/compile_service.h"
#include "anemone/engine/ane/driver/request.h"
#include "anemone/engine/ane/driver/surface.h"
#include "tests/ane_driver/engine_scenario.h"
#include "tests/ane_driver/fault_judge.h"
#include "tests/ane_driver/fault_programs.h"
#include "tests/support/sanitized.h"

namespace anemone::test {
namespace {

using namespace engine;
using namespace engine::ane;

// Sanitizers slow all of it down and find what they find in fewer.
constexpr int kEngineScripts = kSanitized ? 300 : 2000, kDriverScripts = kSanitized ? 400 : 1000;

TEST(AneRandomFaults, TheEngine) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  run_fault_scripts(fake, kEngineScripts, [](std::mt19937& random, FaultPlan& plan) {
    const bool together = random() % 3 == 0;
    plan = random_fault_plan(random, true);
    return [together](FaultRun& run) { play_engine_scenario(run, together); };
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
        service_(framework_, {&run.clock, {}, failures}) {}

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

// A call that does not return is reported, the process compiles nothing more, and when the call
// returns after all nothing is left behind: a program that was loaded late is unloaded.
TEST(AneRandomFaults, CallsThatDoNotReturn) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const TemporaryDirectory failures;
  const FaultProgram& program = *fault_programs()[0];
  const long before = fake.live();
  for (const char* script : {"compile 1 hold", "load 1 hold", "load 1 fail; load 2 hold"}) {
    fake.script(script);
    {
      TestClock clock;
      CompileService service(Framework::open(), {&clock, {}, failures.path()});
      try {
        service.build(program.source(0));
        ADD_FAILURE() << "built";
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("does not return: no answer in 600 s"),
                  std::string::npos)
            << error.what();
      }
      const long compiles = fake.count("compileWithQoS:options:error:");
      EXPECT_THROW(service.build(program.source(1)), Error);
      EXPECT_EQ(fake.count("compileWithQoS:options:error:"), compiles);
    }
    EXPECT_EQ(fake.held(), 1);
    fake.let_go();
    for (int tries = 0; tries < 20000 && fake.live() != before; ++tries) {
      std::this_thread::sleep_for(Milliseconds(1));
    }
    EXPECT_EQ(fake.live(), before) << script << "\n" << fake.describe_live();
    EXPECT_EQ(fake.loaded_programs(), 0) << script;
    EXPECT_EQ(fake.violations(), "") << script;
    EXPECT_EQ(fake.left_files(), "") << script;
  }
}

}  // namespace
}  // namespace anemone::test

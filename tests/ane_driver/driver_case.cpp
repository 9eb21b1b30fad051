#include "tests/ane_driver/driver_case.h"

namespace anemone::test {
namespace {

template <class Visit>
void visit_port(const std::vector<engine::Port>& ports, std::string_view name, Visit visit) {
  for (const engine::Port& port : ports)
    if (port.name == name) visit(port);
}

void build(mil::Program& program, bool subtract) {
  mil::Builder b(program);
  const mil::Type type =
      mil::Type::tensor(DType::fp16, {1, DriverCase::kChannels, 1, DriverCase::kPositions});
  const mil::Value x = b.input("x", type), x2 = b.input("x2", type);
  const mil::Value sum =
      subtract ? b.sub({{"x", x}, {"y", x2}}, "sum") : b.add({{"x", x}, {"y", x2}}, "sum");
  const mil::Value w = b.weight({"w"}, mil::Type::tensor(DType::fp16, {2, 2, 1, 1}));
  b.output(b.conv({{"x", sum}, {"weight", w}}), "y");
  b.output(sum, "sum");
}

}  // namespace

bool TestClock::wait(std::condition_variable& change, std::unique_lock<std::mutex>& lock,
                     const bool& done, engine::ane::Milliseconds limit) {
  const FakeAne* fake = FakeAne::load();
  while (!change.wait_for(lock, std::chrono::milliseconds(1), [&] { return done; })) {
    if (fake->held() == 0) continue;
    now_ += limit;
    return done;
  }
  return true;
}

void Ready::bind(engine::Engine& engine) {
  std::vector<engine::Surface*> in, out;
  for (const engine::BufferSpec& spec : executable->input_buffers()) {
    inputs.push_back(engine.make_surface(spec));
    in.push_back(inputs.back().get());
  }
  for (const engine::BufferSpec& spec : executable->output_buffers()) {
    outputs.push_back(engine.make_surface(spec));
    out.push_back(outputs.back().get());
  }
  binding = executable->bind(in, out);
}

void Ready::write(std::string_view name, std::span<const double> values) {
  visit_port(executable->inputs(), name, [&](const engine::Port& port) {
    const engine::HostAccess access(*inputs[static_cast<std::size_t>(port.buffer)],
                                    engine::Access::write);
    engine::write_port(access.data(), port, values);
  });
}

std::vector<double> Ready::read(std::string_view name) {
  std::vector<double> values;
  visit_port(executable->outputs(), name, [&](const engine::Port& port) {
    values.resize(static_cast<std::size_t>(port.shape.elements()));
    const engine::HostAccess access(*outputs[static_cast<std::size_t>(port.buffer)],
                                    engine::Access::read);
    engine::read_port(access.data(), port, values);
  });
  return values;
}

DriverCase::DriverCase() {
  build(program, /*subtract=*/false);
  build(difference, /*subtract=*/true);
  store.add("w", {2, 2}, weights);
  compile.name = "l0.case";
  compile.weights = &store;
  options.service.clock = &clock;
  options.service.failures = failures.path();
}

engine::Engine& DriverCase::engine() {
  if (engine_ == nullptr) engine_ = engine::ane::make_engine(options);
  return *engine_;
}

Ready DriverCase::make_ready() {
  Ready ready;
  ready.executable = engine().compile(program.main(), compile);
  ready.bind(engine());
  return ready;
}

bool DriverCase::is_right(Ready& ready) {
  std::vector<double> x, ones, sum, y;
  for (int i = 0; i < kChannels * kPositions; ++i) {
    x.push_back(i);
    ones.push_back(1);
    sum.push_back(i + 1);
  }
  for (int channel = 0; channel < kChannels; ++channel)
    for (int i = 0; i < kPositions; ++i) {
      const auto at = static_cast<std::size_t>(2 * channel);
      y.push_back(weights[at] * sum[static_cast<std::size_t>(i)] +
                  weights[at + 1] * sum[static_cast<std::size_t>(kPositions + i)]);
    }
  ready.write("x", x);
  ready.write("x2", ones);
  return ready.binding->run().ok() && ready.read("sum") == sum && ready.read("y") == y;
}

}  // namespace anemone::test

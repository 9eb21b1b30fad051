// Compiling, binding and running.
#include "anemone/engine/cpu/executable.h"

#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "anemone/base/error.h"
#include "anemone/engine/surface_check.h"
#include "anemone/mil/passes/pack_io.h"
#include "anemone/mil/passes/passes.h"

namespace anemone::cpu {

using engine::Access;
using engine::Surface;

namespace {

std::size_t bytes_of(const mil::Type& type) {
  return static_cast<std::size_t>(type.shape.elements()) * dtype_size(type.dtype);
}

// The ports of the original function; a packed layout says where they lie.
std::vector<engine::Port> ports_of(const mil::Function& original,
                                   const std::vector<mil::Value>& values,
                                   const std::vector<mil::PackedPort>& packed) {
  std::vector<engine::Port> ports;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const mil::Type& type = original.type(values[i]);
    engine::Port port;
    port.name = original.name_of(values[i]);
    port.dtype = type.dtype;
    port.shape = type.shape;
    port.strides = contiguous_strides(type.shape);
    port.buffer = packed.empty() ? static_cast<int>(i) : packed[i].buffer;
    if (!packed.empty()) {
      port.offset_bytes =
          static_cast<std::size_t>(packed[i].channel * port.strides[1]) * dtype_size(type.dtype);
    }
    ports.push_back(std::move(port));
  }
  return ports;
}

std::vector<engine::BufferSpec> buffers_of(const mil::Function& function,
                                           const std::vector<mil::Value>& values) {
  std::vector<engine::BufferSpec> buffers;
  for (const mil::Value value : values)
    buffers.push_back({function.name_of(value), bytes_of(function.type(value))});
  return buffers;
}

}  // namespace

class Binding final : public engine::Binding {
 public:
  Binding(Executable& executable, std::span<Surface* const> inputs,
          std::span<Surface* const> outputs)
      : executable_(executable), storages_(executable.storages()) {
    const std::vector<Storage>& storages = executable.program_.storages;
    for (std::size_t i = 0; i < storages.size(); ++i) {
      const auto index = static_cast<std::size_t>(storages[i].index);
      if (storages[i].kind == Storage::Kind::input)
        ports_.push_back({i, inputs[index], Access::read});
      if (storages[i].kind == Storage::Kind::output)
        ports_.push_back({i, outputs[index], Access::write});
    }
    accesses_ = std::make_unique<std::optional<engine::HostAccess>[]>(ports_.size());
  }

  Status run() override {
    try {
      for (std::size_t i = 0; i < ports_.size(); ++i) {
        accesses_[i].emplace(*ports_[i].surface, ports_[i].access);
        storages_[ports_[i].storage] = accesses_[i]->data();
      }
      executable_.run(storages_);
      release();
    } catch (const Error& error) {
      release();
      return Status::failure(error.what());
    }
    return {};
  }

 private:
  struct BoundPort {
    std::size_t storage;
    Surface* surface;
    Access access;
  };
  void release() {
    for (std::size_t i = 0; i < ports_.size(); ++i) accesses_[i].reset();
  }

  Executable& executable_;
  std::vector<std::byte*> storages_;
  std::vector<BoundPort> ports_;
  std::unique_ptr<std::optional<engine::HostAccess>[]> accesses_;  // one per port, during a run
};

Executable::Executable(const mil::Function& function, const engine::CompileOptions& options,
                       Setup setup)
    : setup_(std::move(setup)),
      name_(options.name),
      function_(function),
      source_(options.weights, options.model_directory),
      constants_(function_, source_, *setup_.pool) {
  list_ports(function, options);
  mil::PassContext passes{source_};
  mil::run_standard_passes(function_, passes);
  machine_.features = setup_.features;
  machine_.products = options.products == engine::ProductPrecision::bf16
                          ? compute::ProductPrecision::bf16
                          : compute::ProductPrecision::full;
  machine_.threads = setup_.pool->threads();
  program_ = compile_function(function_, constants_, machine_, setup_.disabled_fusions);
  if (setup_.profile) seconds_.resize(program_.steps.size(), 0);
}

void Executable::list_ports(const mil::Function& original, const engine::CompileOptions& options) {
  mil::PackedLayout layout;
  if (options.pack_io) layout = mil::pack_io(function_);
  inputs_ = ports_of(original, original.inputs, layout.inputs);
  outputs_ = ports_of(original, original.outputs, layout.outputs);
  input_buffers_ = buffers_of(function_, function_.inputs);
  output_buffers_ = buffers_of(function_, function_.outputs);
}

void Executable::use_scratch(std::span<std::byte> memory) {
  ANEMONE_CHECK(memory.size() >= program_.scratch.bytes && own_scratch_.size() == 0,
                "scratch memory of its size, before the first bind");
  scratch_ = memory;
}

std::unique_ptr<engine::Binding> Executable::bind(std::span<Surface* const> inputs,
                                                  std::span<Surface* const> outputs) {
  engine::check_surfaces(inputs, input_buffers_, "input");
  engine::check_surfaces(outputs, output_buffers_, "output");
  if (scratch_.size() < program_.scratch.bytes) {
    own_scratch_ = AlignedBuffer(program_.scratch.bytes);
    scratch_ = own_scratch_.as<std::byte>();
  }
  return std::make_unique<Binding>(*this, inputs, outputs);
}

std::vector<std::byte*> Executable::storages() {
  std::vector<std::byte*> storages = program_.constants;
  for (std::size_t i = 0; i < storages.size(); ++i) {
    if (program_.storages[i].kind == Storage::Kind::scratch)
      storages[i] = scratch_.data() + program_.scratch.storages[i];
  }
  return storages;
}

void Executable::run(std::span<std::byte* const> storages) {
  const auto call = [&](std::size_t i) {
    const Step& step = program_.steps[i];
    const Frame frame{*setup_.pool,
                      storages,
                      {scratch_.data() + program_.scratch.workspaces[i], step.workspace_bytes}};
    step.call.run(frame);
  };
  if (seconds_.empty()) {
    for (std::size_t i = 0; i < program_.steps.size(); ++i) call(i);
    return;
  }
  using Clock = std::chrono::steady_clock;
  ++runs_;
  for (std::size_t i = 0; i < program_.steps.size(); ++i) {
    const Clock::time_point start = Clock::now();
    call(i);
    seconds_[i] += std::chrono::duration<double>(Clock::now() - start).count();
  }
}

Status Executable::update_weights() {
  try {
    constants_.update();
  } catch (const Error& error) {
    return Status::failure(error.what());
  }
  return {};
}

std::string Executable::explain() const {
  return explain_program(name_, program_, constants_, machine_);
}

double Executable::executed_flops() const {
  double sum = 0;
  for (const Step& step : program_.steps) sum += step.flops - step.skipped_flops;
  return sum;
}

std::vector<engine::StepProfile> Executable::profile() const {
  std::vector<engine::StepProfile> profile;
  for (std::size_t i = 0; i < seconds_.size(); ++i) {
    const Step& step = program_.steps[i];
    profile.push_back({fmt::format("{}: {}", step.operation, step.implementation), runs_,
                       seconds_[i], step.flops, step.bytes});
  }
  return profile;
}

}  // namespace anemone::cpu

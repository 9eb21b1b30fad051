// The reference engine: every operation by its reference meaning, in double, rounded to the
// declared type after each. Slow and simple, it is what the other engines are compared with. As it
// rounds every value, it can do so by another arithmetic too, and then shows what a device would
// compute.
#include <fmt/format.h>

#include <utility>

#include "anemone/base/element.h"
#include "anemone/engine/engines.h"
#include "anemone/engine/numerics.h"
#include "anemone/engine/surface_check.h"
#include "anemone/mil/evaluate.h"
#include "anemone/mil/op_def.h"
#include "anemone/mil/passes/pack_io.h"

namespace anemone::reference {
namespace {

using engine::BufferSpec;
using engine::Port;
using engine::Support;
using engine::Surface;

std::size_t bytes_of(const mil::Type& type) {
  return static_cast<std::size_t>(type.shape.elements()) * dtype_size(type.dtype);
}

Port contiguous_port(std::string name, const mil::Type& type, std::size_t offset, int buffer) {
  Port port;
  port.name = std::move(name);
  port.dtype = type.dtype;
  port.shape = type.shape;
  port.strides = contiguous_strides(type.shape);
  port.offset_bytes = offset;
  port.buffer = buffer;
  return port;
}

class Executable;

class Binding final : public engine::Binding {
 public:
  Binding(const Executable& executable, std::span<Surface* const> inputs,
          std::span<Surface* const> outputs)
      : executable_(executable),
        inputs_(inputs.begin(), inputs.end()),
        outputs_(outputs.begin(), outputs.end()) {}

  Status run() override;

 private:
  const Executable& executable_;
  std::vector<Surface*> inputs_, outputs_;
};

class Executable final : public engine::Executable {
 public:
  Executable(const mil::Function& function, const engine::CompileOptions& options,
             std::shared_ptr<const mil::Arithmetic> arithmetic)
      : original_(function), options_(options), arithmetic_(std::move(arithmetic)) {
    mil::PackedLayout layout;
    if (options.pack_io) layout = mil::pack_io(original_);
    mil::check_evaluable(original_);
    list_buffers(original_.inputs, input_buffers_);
    list_buffers(original_.outputs, output_buffers_);
    list_ports(function, function.inputs, layout.inputs, inputs_);
    list_ports(function, function.outputs, layout.outputs, outputs_);
    resolve_constants();
  }

  std::unique_ptr<engine::Binding> bind(std::span<Surface* const> inputs,
                                        std::span<Surface* const> outputs) override {
    engine::check_surfaces(inputs, input_buffers_, "input");
    engine::check_surfaces(outputs, output_buffers_, "output");
    return std::make_unique<Binding>(*this, inputs, outputs);
  }

  Status update_weights() override {
    try {
      resolve_constants();
    } catch (const Error& error) {
      return Status::failure(error.what());
    }
    return {};
  }

  std::string explain() const override {
    std::string text, how = "reference";
    if (arithmetic_ != nullptr) how += ", " + arithmetic_->name();
    for (const mil::Operation& op : resolved_.ops) {
      if (op.kind == mil::OpKind::const_) continue;
      const mil::Value result = op.results.front();
      text += fmt::format("{} {} {}: {}\n", mil::op_name(op.kind), resolved_.name_of(result),
                          resolved_.type(result).to_string(), how);
    }
    return text;
  }

  std::size_t constant_bytes() const override { return constant_bytes_; }
  const mil::Function& function() const { return resolved_; }
  const mil::Arithmetic* arithmetic() const { return arithmetic_.get(); }

 private:
  void list_buffers(const std::vector<mil::Value>& values, std::vector<BufferSpec>& buffers) const {
    for (const mil::Value value : values) {
      buffers.push_back({original_.name_of(value), bytes_of(original_.type(value))});
    }
  }

  // The ports of the function as it was given; a packed layout says where they lie.
  static void list_ports(const mil::Function& function, const std::vector<mil::Value>& values,
                         const std::vector<mil::PackedPort>& packed, std::vector<Port>& ports) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const mil::Type& type = function.type(values[i]);
      std::size_t offset = 0;
      int buffer = static_cast<int>(i);
      if (!packed.empty()) {
        const Strides strides = contiguous_strides(type.shape);
        offset = static_cast<std::size_t>(packed[i].channel * strides[1]) * dtype_size(type.dtype);
        buffer = packed[i].buffer;
      }
      ports.push_back(contiguous_port(function.name_of(values[i]), type, offset, buffer));
    }
  }

  // A copy of the function in which every constant holds the present bytes: later changes of the
  // weights are not seen until update_weights.
  void resolve_constants() {
    mil::Function resolved = original_;
    mil::ConstantSource source(options_.weights, options_.model_directory);
    std::size_t total = 0;
    for (mil::Operation& op : resolved.ops) {
      if (op.kind != mil::OpKind::const_ || op.constant->has_strings()) continue;
      if (!op.constant->has_bytes()) {
        std::vector<std::byte> scratch;
        const auto bytes = source.bytes(*op.constant, scratch);
        op.constant = std::make_shared<const mil::Constant>(
            op.constant->type(), std::vector<std::byte>(bytes.begin(), bytes.end()));
      }
      total += op.constant->bytes().size();
    }
    resolved_ = std::move(resolved);
    constant_bytes_ = total;
  }

  mil::Function original_;  // packed where asked for
  mil::Function resolved_;
  engine::CompileOptions options_;
  std::shared_ptr<const mil::Arithmetic> arithmetic_;  // null: exact
  std::size_t constant_bytes_ = 0;
};

Status Binding::run() {
  const mil::Function& function = executable_.function();
  try {
    mil::TensorMap<double> inputs;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const mil::Type& type = function.type(function.inputs[i]);
      std::vector<double>& values = inputs[function.name_of(function.inputs[i])];
      values.resize(static_cast<std::size_t>(type.shape.elements()));
      const engine::HostAccess access(*inputs_[i], engine::Access::read);
      load_elements(type.dtype, access.data(), values);
    }
    mil::ConstantSource constants;
    const mil::TensorMap<double> outputs = mil::evaluate<double>(
        function, inputs, constants, {.arithmetic = executable_.arithmetic()});
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const mil::Value output = function.outputs[i];
      const engine::HostAccess access(*outputs_[i], engine::Access::write);
      store_elements(function.type(output).dtype, access.data(),
                     outputs.at(function.name_of(output)));
    }
  } catch (const Error& error) {
    return Status::failure(error.what());
  }
  return {};
}

class Engine final : public engine::Engine {
 public:
  explicit Engine(const engine::EngineOptions& options)
      : arithmetic_(engine::make_numerics(options.numerics)) {
    if (arithmetic_ == nullptr) return;
    // A device is beside the host, which keeps the glue, and takes a step in its own pieces.
    traits_.runs_on_host = false;
    traits_.default_partition = "six";
  }

  std::string_view name() const override { return "reference"; }
  const engine::EngineTraits& traits() const override { return traits_; }

  Support supports(const mil::Function& function) const override {
    try {
      mil::check_evaluable(function);
    } catch (const Error& error) {
      return {false, error.what()};
    }
    return {};
  }

  std::unique_ptr<engine::Executable> compile(const mil::Function& function,
                                              const engine::CompileOptions& options) override {
    try {
      return std::make_unique<Executable>(function, options, arithmetic_);
    } catch (const Error& error) {
      throw Error(error.what(), options.name);
    }
  }

  std::unique_ptr<Surface> make_surface(const BufferSpec& spec) override {
    return std::make_unique<engine::HostSurface>(spec.bytes);
  }

 private:
  engine::EngineTraits traits_;
  std::shared_ptr<const mil::Arithmetic> arithmetic_;
};

}  // namespace

std::unique_ptr<engine::Engine> make_engine(const engine::EngineOptions& options) {
  return std::make_unique<Engine>(options);
}

}  // namespace anemone::reference

namespace anemone::engine {

std::unique_ptr<Engine> make_reference_engine(const EngineOptions&);
Support reference_engine_support();

std::unique_ptr<Engine> make_reference_engine(const EngineOptions& options) {
  return reference::make_engine(options);
}
Support reference_engine_support() { return {}; }

}  // namespace anemone::engine

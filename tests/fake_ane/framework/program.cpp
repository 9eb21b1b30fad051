#include "tests/fake_ane/framework/program.h"

#include <algorithm>
#include <cstring>

#include "anemone/engine/engines.h"
#include "anemone/mil/parser.h"
#include "tests/fake_ane/framework/program_rules.h"

namespace anemone::fake_ane {
namespace {

std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

std::int64_t element_size(const Tensor& tensor) {
  return static_cast<std::int64_t>(dtype_size(tensor.dtype));
}

Tensor tensor_of(const mil::Function& function, mil::Value value, const char* suffix,
                 std::int64_t row_unit) {
  const mil::Type& type = function.type(value);
  std::int64_t dims[4] = {1, 1, 1, 1};
  for (int i = 0; i < type.shape.rank(); ++i) dims[4 - type.shape.rank() + i] = type.shape[i];
  Tensor tensor;
  tensor.name = function.name_of(value);
  tensor.symbol = tensor.name + suffix;
  tensor.dtype = type.dtype;
  tensor.batches = dims[0];
  tensor.channels = dims[1];
  tensor.height = dims[2];
  tensor.width = dims[3];
  tensor.row_stride = round_up(tensor.width * element_size(tensor), row_unit);
  tensor.plane_stride = tensor.row_stride * tensor.height;
  tensor.batch_stride = tensor.plane_stride * tensor.channels;
  return tensor;
}

// Calls visit(device offset, port offset, column step of the port) for every row; in bytes.
template <class Visit>
void for_each_row(const Tensor& tensor, const engine::Port& port, Visit visit) {
  const std::int64_t element = element_size(tensor);
  std::int64_t strides[4] = {0, 0, 0, 0};
  for (int i = 0; i < port.shape.rank(); ++i) {
    strides[4 - port.shape.rank() + i] = port.strides[static_cast<std::size_t>(i)] * element;
  }
  for (std::int64_t n = 0; n < tensor.batches; ++n) {
    for (std::int64_t c = 0; c < tensor.channels; ++c) {
      for (std::int64_t h = 0; h < tensor.height; ++h) {
        visit(n * tensor.batch_stride + c * tensor.plane_stride + h * tensor.row_stride,
              static_cast<std::int64_t>(port.offset_bytes) + n * strides[0] + c * strides[1] +
                  h * strides[2],
              strides[3]);
      }
    }
  }
}

void copy_row(std::byte* to, std::int64_t to_step, const std::byte* from, std::int64_t from_step,
              std::int64_t count, std::int64_t element) {
  if (to_step == element && from_step == element) {
    std::memcpy(to, from, static_cast<std::size_t>(count * element));
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * to_step, from + i * from_step, static_cast<std::size_t>(element));
  }
}

// What stands between the rows of an output is not defined; make sure that nobody relies on it.
constexpr int kPadding = 0xff;

void sort_by_symbol(std::vector<Tensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(),
            [](const Tensor& a, const Tensor& b) { return a.symbol < b.symbol; });
}

enum class Side : bool { input, output };

// Every symbol exactly once and every surface large enough?
long check_surfaces(Side side, const std::vector<BoundSurface>& surfaces,
                    const std::vector<Tensor>& tensors, const std::vector<std::int64_t>& symbols,
                    const Settings& settings) {
  if (surfaces.size() != symbols.size()) return kStatusBadSymbol;
  std::set<std::int64_t> seen;
  for (const BoundSurface& bound : surfaces) {
    const auto found = std::find(symbols.begin(), symbols.end(), bound.symbol);
    if (found == symbols.end() || !seen.insert(bound.symbol).second) return kStatusBadSymbol;
    const Tensor& tensor = tensors[static_cast<std::size_t>(found - symbols.begin())];
    const auto bytes = static_cast<std::int64_t>(bound.surface->bytes());
    const bool uniform = bytes == static_cast<std::int64_t>(surfaces[0].surface->bytes());
    if (bytes < tensor.bytes() || bytes < settings.min_surface || (settings.uniform && !uniform)) {
      return kStatusBadSurface;
    }
    // The host may go on reading what the engine reads too.
    if (side == Side::output ? bound.surface->locked() : bound.surface->locked_to_write()) {
      violation("evaluated while the host holds a surface locked");
    }
  }
  return kStatusOk;
}

}  // namespace

struct Program::Executor {
  std::unique_ptr<engine::Executable> executable;
  std::vector<std::unique_ptr<engine::Surface>> inputs, outputs;
  std::unique_ptr<engine::Binding> binding;

  void bind(engine::Engine& engine) {
    std::vector<engine::Surface*> in, out;
    for (const auto& spec : executable->input_buffers()) {
      in.push_back(inputs.emplace_back(engine.make_surface(spec)).get());
    }
    for (const auto& spec : executable->output_buffers()) {
      out.push_back(outputs.emplace_back(engine.make_surface(spec)).get());
    }
    binding = executable->bind(in, out);
  }

  static const engine::Port& port(const std::vector<engine::Port>& ports, const std::string& name) {
    return *std::find_if(ports.begin(), ports.end(),
                         [&](const engine::Port& each) { return each.name == name; });
  }

  void read(const Tensor& tensor, SurfaceBody& from) {
    const engine::Port& to = port(executable->inputs(), tensor.name);
    const engine::HostAccess host(*inputs[static_cast<std::size_t>(to.buffer)],
                                  engine::Access::write);
    const SurfaceBody::DeviceAccess device(from);
    const std::int64_t element = element_size(tensor);
    for_each_row(tensor, to, [&](std::int64_t row, std::int64_t at, std::int64_t step) {
      copy_row(host.data() + at, step, device.data() + row, element, tensor.width, element);
    });
  }

  void write(const Tensor& tensor, SurfaceBody& to) {
    const engine::Port& from = port(executable->outputs(), tensor.name);
    const engine::HostAccess host(*outputs[static_cast<std::size_t>(from.buffer)],
                                  engine::Access::read);
    const SurfaceBody::DeviceAccess device(to);
    const std::int64_t element = element_size(tensor), used = tensor.width * element;
    for_each_row(tensor, from, [&](std::int64_t row, std::int64_t at, std::int64_t step) {
      copy_row(device.data() + row, element, host.data() + at, step, tensor.width, element);
      std::memset(device.data() + row + used, kPadding,
                  static_cast<std::size_t>(tensor.row_stride - used));
    });
  }
};

Program::Program(std::string_view text, const std::set<std::string>& files,
                 const std::filesystem::path& directory, const Settings& settings) {
  const mil::Program program = mil::parse_program(text, "model.mil");
  check_rules(program, files);
  engine::EngineOptions options;
  options.threads = static_cast<int>(settings.threads);
  engine_ = engine::make_engine(settings.engine, options);
  std::vector<const mil::Function*> functions;
  for (const mil::Function& function : program.functions) functions.push_back(&function);
  if (settings.procedures_reversed) std::reverse(functions.begin(), functions.end());
  for (const mil::Function* function : functions) add(*function, directory, settings);
  number_symbols();
}

Program::~Program() = default;

void Program::add(const mil::Function& function, const std::filesystem::path& directory,
                  const Settings& settings) {
  Procedure procedure;
  procedure.name = function.name;
  for (const mil::Value value : function.inputs) {
    procedure.inputs.push_back(tensor_of(function, value, "", settings.rows));
  }
  for (const mil::Value value : function.outputs) {
    procedure.outputs.push_back(tensor_of(function, value, "@output", settings.rows));
  }
  if (settings.alphabetical) {
    sort_by_symbol(procedure.inputs);
    sort_by_symbol(procedure.outputs);
  }
  engine::CompileOptions options;
  options.name = function.name;
  options.model_directory = directory;
  auto executor = std::make_unique<Executor>();
  executor->executable = engine_->compile(function, options);
  executor->bind(*engine_);
  procedures_.push_back(std::move(procedure));
  executors_.push_back(std::move(executor));
}

// Symbols are numbered over the whole program (facts: 4.4).
void Program::number_symbols() {
  std::int64_t input = 0, output = 0;
  for (Procedure& procedure : procedures_) {
    for (std::size_t i = 0; i < procedure.inputs.size(); ++i) {
      procedure.input_symbols.push_back(input++);
    }
    for (std::size_t i = 0; i < procedure.outputs.size(); ++i) {
      procedure.output_symbols.push_back(output++);
    }
  }
}

long Program::run(std::int64_t index, const std::vector<BoundSurface>& inputs,
                  const std::vector<BoundSurface>& outputs, const Settings& settings) {
  // A program of one function ignores the index (facts: 4.4).
  if (procedures_.size() == 1 && index >= 0 && index < 16) index = 0;
  if (index < 0 || index >= static_cast<std::int64_t>(procedures_.size())) return kStatusBadSymbol;
  const auto at = static_cast<std::size_t>(index);
  const Procedure& procedure = procedures_[at];
  Executor& executor = *executors_[at];
  long status =
      check_surfaces(Side::input, inputs, procedure.inputs, procedure.input_symbols, settings);
  if (status != kStatusOk) return status;
  status =
      check_surfaces(Side::output, outputs, procedure.outputs, procedure.output_symbols, settings);
  if (status != kStatusOk) return status;

  const auto tensor = [](const std::vector<Tensor>& tensors,
                         const std::vector<std::int64_t>& symbols,
                         std::int64_t symbol) -> const Tensor& {
    const auto found = std::find(symbols.begin(), symbols.end(), symbol);
    return tensors[static_cast<std::size_t>(found - symbols.begin())];
  };
  const std::lock_guard lock(mutex_);
  for (const BoundSurface& bound : inputs) {
    executor.read(tensor(procedure.inputs, procedure.input_symbols, bound.symbol), *bound.surface);
  }
  if (!executor.binding->run().ok()) return kStatusBadSurface;
  for (const BoundSurface& bound : outputs) {
    executor.write(tensor(procedure.outputs, procedure.output_symbols, bound.symbol),
                   *bound.surface);
  }
  return kStatusOk;
}

}  // namespace anemone::fake_ane

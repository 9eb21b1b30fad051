// Ports from the layout that the model reported, and bindings.
#include "anemone/engine/ane/executable.h"

#include <fmt/format.h>

#include "anemone/base/error.h"
#include "anemone/engine/surface_check.h"

namespace anemone::engine::ane {
namespace {

BufferSpec buffer_spec(const LegalBuffer& buffer, const TensorLayout& layout) {
  BufferSpec spec;
  spec.name = buffer.name;
  spec.bytes = static_cast<std::size_t>(layout.bytes);
  spec.row_bytes = static_cast<std::size_t>(layout.strides[2]);
  spec.row_elements = static_cast<std::size_t>(layout.dims[3]);
  spec.element_bytes = static_cast<std::size_t>(layout.strides[3]);
  return spec;
}

Port make_port(const LegalPort& legal, const TensorLayout& layout) {
  Port port;
  port.name = legal.name;
  port.dtype = legal.type.dtype;
  port.shape = legal.type.shape;
  port.buffer = legal.buffer;
  const auto element = static_cast<std::int64_t>(dtype_size(port.dtype));
  const int rank = port.shape.rank();
  for (int axis = 0; axis < rank; ++axis)
    port.strides[static_cast<std::size_t>(axis)] = layout.strides[4 - rank + axis] / element;
  port.offset_bytes = static_cast<std::size_t>(legal.channel * layout.strides[1]);
  return port;
}

void list(const std::vector<LegalPort>& legal, const std::vector<LegalBuffer>& buffers,
          const std::vector<TensorLayout>& layouts, std::vector<Port>& ports,
          std::vector<BufferSpec>& specs) {
  for (std::size_t i = 0; i < buffers.size(); ++i)
    specs.push_back(buffer_spec(buffers[i], layouts[i]));
  for (const LegalPort& port : legal)
    ports.push_back(make_port(port, layouts[static_cast<std::size_t>(port.buffer)]));
}

// Surfaces of this engine, large enough.
std::vector<IoSurface*> own_surfaces(std::span<Surface* const> surfaces,
                                     const std::vector<BufferSpec>& specs, const char* side) {
  check_surfaces(surfaces, specs, side);
  std::vector<IoSurface*> found;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    auto* surface = dynamic_cast<IoSurface*>(surfaces[i]);
    if (surface == nullptr)
      throw Error(fmt::format("the surface for {} is not an IOSurface", specs[i].name), {},
                  "one made by the engine ane");
    found.push_back(surface);
  }
  return found;
}

class AneBinding final : public Binding, public Program::Client {
 public:
  AneBinding(std::shared_ptr<Program> program, std::size_t function, std::vector<IoSurface*> inputs,
             std::vector<IoSurface*> outputs)
      : program_(std::move(program)),
        function_(function),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)),
        request_(make_request(program_->model())) {
    program_->add(this);
  }
  ~AneBinding() override { program_->remove(this); }

  Status run() override { return request_->run(); }

  std::unique_ptr<Request> make_request(const Model& model) override {
    const Program::Setup& setup = program_->setup();
    try {
      return std::make_unique<Request>(model, function_, inputs_, outputs_, *setup.clock,
                                       setup.map_surfaces);
    } catch (const Error& error) {
      throw Error(error.what(), setup.name);
    }
  }
  void take(std::unique_ptr<Request> request) override { request_ = std::move(request); }

 private:
  std::shared_ptr<Program> program_;
  std::size_t function_;
  std::vector<IoSurface*> inputs_, outputs_;
  std::unique_ptr<Request> request_;
};

}  // namespace

Executable::Executable(std::shared_ptr<Program> program, std::size_t function)
    : program_(std::move(program)), function_(function) {
  const LegalFunction& legal = program_->function(function_);
  const FunctionLayout& layout = program_->layout(function_);
  list(legal.inputs, legal.input_buffers, layout.inputs, inputs_, input_buffers_);
  list(legal.outputs, legal.output_buffers, layout.outputs, outputs_, output_buffers_);
}

std::unique_ptr<Binding> Executable::bind(std::span<Surface* const> inputs,
                                          std::span<Surface* const> outputs) {
  return std::make_unique<AneBinding>(program_, function_,
                                      own_surfaces(inputs, input_buffers_, "input"),
                                      own_surfaces(outputs, output_buffers_, "output"));
}

std::size_t Executable::constant_bytes() const {
  return function_ == 0 ? program_->blob_bytes() : 0;  // shared by the program's functions
}

}  // namespace anemone::engine::ane

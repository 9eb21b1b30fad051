// See step_evaluator.h.
#include "tests/support/step_evaluator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/mil/op_def.h"

namespace anemone::test {
namespace {

Shape shape_of(const nn::StepGraph& graph, const std::string& parameter) {
  for (const nn::ParameterSpec& spec : graph.parameters) {
    if (spec.name == parameter) return spec.shape;
  }
  ANEMONE_CHECK(false, "a gradient of an unknown parameter");
  return {};
}

// dW[oc, ic] += sum over positions of dy[oc, s] * x[ic, s].
template <class T>
void add_weight_gradient(const Shape& shape, const std::vector<T>& dy, const std::vector<T>& x,
                         std::vector<T>& dw) {
  const auto rows = static_cast<std::size_t>(shape[0]),
             columns = static_cast<std::size_t>(shape[1]);
  const std::size_t positions = dy.size() / rows;
  ANEMONE_CHECK(dy.size() == rows * positions && x.size() == columns * positions,
                "operands of a weight gradient");
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      T sum = 0;
      for (std::size_t s = 0; s < positions; ++s)
        sum += dy[i * positions + s] * x[j * positions + s];
      dw[i * columns + j] += sum;
    }
  }
}

template <class T>
void add_gradients(const nn::StepGraph& graph, StepValues<T>& values) {
  for (const nn::ParameterSpec& spec : graph.parameters) {
    values.gradients[spec.name].assign(static_cast<std::size_t>(spec.shape.elements()), T(0));
  }
  for (const nn::WeightGradient& gradient : graph.weight_gradients) {
    add_weight_gradient(shape_of(graph, gradient.parameter), values.tensors.at(gradient.dy),
                        values.tensors.at(gradient.x), values.gradients.at(gradient.parameter));
  }
  for (const nn::DirectGradient& gradient : graph.direct_gradients) {
    const std::vector<T>& terms = values.tensors.at(gradient.tensor);
    std::vector<T>& sum = values.gradients.at(gradient.parameter);
    ANEMONE_CHECK(terms.size() == sum.size(), "a direct gradient has its parameter's size");
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += terms[i];
  }
}

// Parameters that kernels read as tensors.
template <class T>
void add_weights(const nn::StepGraph& graph, const mil::WeightStore* store,
                 const mil::TensorMap<T>& perturbed, mil::TensorMap<T>& tensors) {
  const auto is_read = [&](const std::string& name) {
    return std::any_of(graph.calls.begin(), graph.calls.end(), [&](const nn::Call& call) {
      return std::any_of(call.inputs.begin(), call.inputs.end(),
                         [&](const auto& port) { return port.global == name; });
    });
  };
  for (const nn::ParameterSpec& spec : graph.parameters) {
    if (!is_read(spec.name)) continue;
    const auto found = perturbed.find(spec.name);
    if (found != perturbed.end()) {
      tensors[spec.name] = found->second;
    } else {
      const auto values = store->get(spec.name).values;
      tensors[spec.name].assign(values.begin(), values.end());
    }
  }
}

// `run(kernel index, inputs)` gives the outputs of one program by local names.
template <class T, class Run>
StepValues<T> run_calls(const nn::StepGraph& graph, const mil::TensorMap<T>& inputs, StepPart part,
                        const Run& run) {
  StepValues<T> values;
  values.tensors = inputs;
  for (const nn::Call& call : graph.calls) {
    mil::TensorMap<T> local;
    for (const auto& port : call.inputs) local[port.local] = values.tensors.at(port.global);
    mil::TensorMap<T> outputs = run(static_cast<std::size_t>(call.kernel), local);
    bool wrote_loss = false;
    for (const auto& port : call.outputs) {
      values.tensors[port.global] = std::move(outputs.at(port.local));
      wrote_loss |= port.global == graph.loss;
    }
    if (wrote_loss && part == StepPart::forward) return values;
  }
  add_gradients(graph, values);
  return values;
}

}  // namespace

StepValues<double> evaluate_step(const nn::StepGraph& graph, const mil::TensorMap<double>& inputs,
                                 mil::ConstantSource& constants,
                                 const mil::EvaluateOptions& options, StepPart part) {
  mil::TensorMap<double> tensors = inputs;
  add_weights(graph, constants.weights(), {}, tensors);
  return run_calls<double>(
      graph, tensors, part, [&](std::size_t kernel, const mil::TensorMap<double>& local) {
        return mil::evaluate(graph.kernels[kernel].program.main(), local, constants, options);
      });
}

StepValues<Complex> evaluate_step_perturbed(const nn::StepGraph& graph,
                                            const mil::TensorMap<Complex>& inputs,
                                            mil::ConstantSource& constants,
                                            const mil::TensorMap<Complex>& weights, StepPart part) {
  mil::TensorMap<Complex> tensors = inputs;
  add_weights(graph, constants.weights(), weights, tensors);
  return run_calls<Complex>(graph, tensors, part,
                            [&](std::size_t kernel, const mil::TensorMap<Complex>& local) {
                              return mil::evaluate_perturbed(graph.kernels[kernel].program.main(),
                                                             local, constants, weights);
                            });
}

namespace {

using Surfaces = std::vector<std::unique_ptr<engine::Surface>>;

Surfaces make_surfaces(engine::Engine& engine, const std::vector<engine::BufferSpec>& specs) {
  Surfaces surfaces;
  for (const engine::BufferSpec& spec : specs) surfaces.push_back(engine.make_surface(spec));
  return surfaces;
}

std::vector<engine::Surface*> pointers(const Surfaces& surfaces) {
  std::vector<engine::Surface*> result;
  for (const auto& surface : surfaces) result.push_back(surface.get());
  return result;
}

class BoundProgram {
 public:
  BoundProgram(engine::Engine& engine, const mil::Function& function,
               const engine::CompileOptions& options)
      : executable_(engine.compile(function, options)),
        inputs_(make_surfaces(engine, executable_->input_buffers())),
        outputs_(make_surfaces(engine, executable_->output_buffers())),
        binding_(executable_->bind(pointers(inputs_), pointers(outputs_))) {}

  mil::TensorMap<double> run(const mil::TensorMap<double>& inputs) {
    for (const engine::Port& port : executable_->inputs()) {
      const engine::HostAccess access(*inputs_[static_cast<std::size_t>(port.buffer)],
                                      engine::Access::write);
      engine::write_port(access.data(), port, std::span<const double>(inputs.at(port.name)));
    }
    const Status status = binding_->run();
    if (!status.ok()) throw Error(status.message, "run");
    mil::TensorMap<double> result;
    for (const engine::Port& port : executable_->outputs()) {
      std::vector<double>& values = result[port.name];
      values.resize(static_cast<std::size_t>(port.shape.elements()));
      const engine::HostAccess access(*outputs_[static_cast<std::size_t>(port.buffer)],
                                      engine::Access::read);
      engine::read_port(access.data(), port, std::span<double>(values));
    }
    return result;
  }

 private:
  std::unique_ptr<engine::Executable> executable_;
  Surfaces inputs_, outputs_;
  std::unique_ptr<engine::Binding> binding_;
};

}  // namespace

mil::TensorMap<double> run_on_engine(engine::Engine& engine, const mil::Function& function,
                                     const mil::TensorMap<double>& inputs,
                                     const engine::CompileOptions& options) {
  return BoundProgram(engine, function, options).run(inputs);
}

StepValues<double> run_step_on_engine(engine::Engine& engine, const nn::StepGraph& graph,
                                      const mil::TensorMap<double>& inputs,
                                      const engine::CompileOptions& options) {
  const auto run = [&](std::size_t kernel, const mil::TensorMap<double>& local) {
    engine::CompileOptions named = options;
    named.name = graph.kernels[kernel].name;
    named.pack_io = options.pack_io && !graph.kernels[kernel].host;
    return run_on_engine(engine, graph.kernels[kernel].program.main(), local, named);
  };
  mil::TensorMap<double> tensors = inputs;
  add_weights(graph, options.weights, {}, tensors);
  return run_calls<double>(graph, tensors, StepPart::whole, run);
}

LayerCase::LayerCase(nn::ModelConfig model, std::uint32_t seed) : config(std::move(model)) {
  config.resolve();
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  const auto draw = [&](double scale, double offset) {
    return round_to(DType::fp16, offset + scale * uniform(random));
  };
  const auto graph = nn::layer_step(config, nn::partitions().front().name);
  for (const nn::ParameterSpec& spec : graph.parameters) {
    const bool is_norm = spec.init == nn::Init::ones;
    std::vector<float> values(static_cast<std::size_t>(spec.shape.elements()));
    for (float& value : values)
      value = static_cast<float>(is_norm ? draw(0.4, 1) : draw(spec.init_scale, 0));
    values_.push_back(std::move(values));
    weights.add(spec.name, spec.shape, values_.back());
  }
  const std::int64_t elements = config.dim * config.seq;
  for (std::int64_t i = 0; i < elements; ++i) {
    inputs["x"].push_back(draw(0.5, 0));
    inputs["target"].push_back(draw(0.5, 0));
  }
  inputs["loss_scale"] = {static_cast<double>(elements) / 2};
}

mil::TensorMap<double> LayerCase::parameters() const {
  mil::TensorMap<double> result;
  for (const auto& [name, tensor] : weights.tensors())
    result[name].assign(tensor.values.begin(), tensor.values.end());
  return result;
}

double norm(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  std::vector<double> difference(a.size());
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) difference[i] = a[i] - b[i];
  return norm(difference);
}

double unit_roundoff(DType dtype) {
  return dtype == DType::fp16 ? std::ldexp(1, -11) : std::ldexp(1, -24);
}

int count_operations(const mil::Function& function) {
  int count = 0;
  for (const mil::Operation& op : function.ops) count += op.kind != mil::OpKind::const_;
  return count;
}

int count_operations(const nn::StepGraph& graph) {
  int count = 0;
  for (const nn::Kernel& kernel : graph.kernels) count += count_operations(kernel.program.main());
  return count;
}

double rounding(int operations, std::int64_t terms, DType dtype) {
  const double sums = std::sqrt(static_cast<double>(terms)) * unit_roundoff(DType::fp32);
  return std::sqrt(operations) * (unit_roundoff(dtype) + sums);
}

void expect_close(const StepValues<double>& actual, const StepValues<double>& exact,
                  const nn::StepGraph& graph, double relative, const std::string& what) {
  for (const auto& [name, expected] : exact.gradients) {
    EXPECT_LE(distance(actual.gradients.at(name), expected), relative * norm(expected))
        << name << " " << what;
  }
  for (const std::string& name : {graph.loss, graph.output, graph.input_gradient}) {
    const auto& expected = exact.tensors.at(name);
    EXPECT_LE(distance(actual.tensors.at(name), expected), relative * norm(expected))
        << name << " " << what;
  }
}

}  // namespace anemone::test

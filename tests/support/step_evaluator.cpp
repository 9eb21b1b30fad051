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
#include "anemone/nn/language_model.h"
#include "tests/support/host_operations.h"

namespace anemone::test {
namespace {

Shape shape_of(const nn::StepGraph& graph, const std::string& parameter) {
  for (const nn::ParameterSpec& spec : graph.parameters) {
    if (spec.name == parameter) return spec.shape;
  }
  ANEMONE_CHECK(false, "a gradient of an unknown parameter");
  return {};
}

// dW[first_row + oc, ic] += sum over positions of dy[oc, s] * x[ic, s].
template <class T>
void add_weight_gradient(const Shape& shape, std::int64_t first_row, const std::vector<T>& dy,
                         const std::vector<T>& x, std::vector<T>& dw) {
  const auto first = static_cast<std::size_t>(first_row),
             columns = static_cast<std::size_t>(shape[1]);
  const std::size_t positions = x.size() / columns, rows = dy.size() / positions;
  ANEMONE_CHECK(dy.size() == rows * positions && x.size() == columns * positions &&
                    (first + rows) * columns <= dw.size(),
                "operands of a weight gradient");
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      T sum = 0;
      for (std::size_t s = 0; s < positions; ++s)
        sum += dy[i * positions + s] * x[j * positions + s];
      dw[(first + i) * columns + j] += sum;
    }
  }
}

template <class T>
void zero_gradients(const nn::StepGraph& graph, mil::TensorMap<T>& gradients) {
  for (const nn::ParameterSpec& spec : graph.parameters)
    gradients[spec.name].assign(static_cast<std::size_t>(spec.shape.elements()), T(0));
}

template <class T>
void add_gradients(const nn::StepGraph& graph, StepValues<T>& values) {
  for (const nn::WeightGradient& gradient : graph.weight_gradients) {
    add_weight_gradient(shape_of(graph, gradient.parameter), gradient.first_row,
                        values.tensors.at(gradient.dy), values.tensors.at(gradient.x),
                        values.gradients.at(gradient.parameter));
  }
  for (const nn::DirectGradient& gradient : graph.direct_gradients) {
    const std::vector<T>& terms = values.tensors.at(gradient.tensor);
    std::vector<T>& sum = values.gradients.at(gradient.parameter);
    ANEMONE_CHECK(terms.size() == sum.size(), "a direct gradient has its parameter's size");
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += terms[i];
  }
}

// Every parameter, and the rows of them that have names of their own: `perturbed` where it has
// them, else from the store.
template <class T>
mil::TensorMap<T> all_weights(const nn::StepGraph& graph, const mil::WeightStore* store,
                              const mil::TensorMap<T>& perturbed) {
  mil::TensorMap<T> weights = perturbed;
  for (const nn::ParameterSpec& spec : graph.parameters) {
    if (weights.count(spec.name) != 0) continue;
    const auto values = store->get(spec.name).values;
    weights[spec.name].assign(values.begin(), values.end());
  }
  for (const nn::ParameterRows& rows : graph.parameter_rows) {
    const std::int64_t columns = shape_of(graph, rows.parameter)[1];
    const auto begin = weights.at(rows.parameter).begin() + rows.first * columns;
    weights[rows.name].assign(begin, begin + rows.count * columns);
  }
  return weights;
}

// `run(kernel index, inputs)` gives the outputs of one program by local names. An input that no
// call has written is a weight.
template <class T, class Run>
StepValues<T> run_calls(const nn::StepGraph& graph, const mil::TensorMap<T>& inputs,
                        const mil::TensorMap<T>& weights, StepPart part, const Run& run) {
  StepValues<T> values;
  values.tensors = inputs;
  zero_gradients(graph, values.gradients);
  const bool has_tokens = !graph.host_ops.empty();
  HostOperations<T> host(graph, has_tokens ? inputs.at("tokens") : std::vector<T>(),
                         has_tokens ? std::real(inputs.at("loss_scale").front()) : 0, weights,
                         values.tensors, values.gradients);
  for (std::size_t index = 0; index <= graph.calls.size(); ++index) {
    const bool behind_forward = index == static_cast<std::size_t>(graph.first_backward_call);
    host.run_before(index);
    if (part == StepPart::forward && behind_forward) return values;
    if (index == graph.calls.size()) break;
    const nn::Call& call = graph.calls[index];
    mil::TensorMap<T> local;
    for (const auto& port : call.inputs) {
      auto found = values.tensors.find(port.global);
      if (found == values.tensors.end())
        found = values.tensors.emplace(port.global, weights.at(port.global)).first;
      local[port.local] = found->second;
    }
    mil::TensorMap<T> outputs = run(static_cast<std::size_t>(call.kernel), local);
    for (const auto& port : call.outputs)
      values.tensors[port.global] = std::move(outputs.at(port.local));
  }
  add_gradients(graph, values);
  return values;
}

}  // namespace

StepValues<double> evaluate_step(const nn::StepGraph& graph, const mil::TensorMap<double>& inputs,
                                 mil::ConstantSource& constants,
                                 const mil::EvaluateOptions& options, StepPart part) {
  const auto weights = all_weights<double>(graph, constants.weights(), {});
  return run_calls<double>(
      graph, inputs, weights, part, [&](std::size_t kernel, const mil::TensorMap<double>& local) {
        return mil::evaluate(graph.kernels[kernel].program.main(), local, constants, options);
      });
}

StepValues<Complex> evaluate_step_perturbed(const nn::StepGraph& graph,
                                            const mil::TensorMap<Complex>& inputs,
                                            mil::ConstantSource& constants,
                                            const mil::TensorMap<Complex>& perturbed,
                                            StepPart part) {
  const auto weights = all_weights<Complex>(graph, constants.weights(), perturbed);
  return run_calls<Complex>(graph, inputs, weights, part,
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
  const auto weights = all_weights<double>(graph, options.weights, {});
  return run_calls<double>(graph, inputs, weights, StepPart::whole, run);
}

LayerCase::LayerCase(nn::ModelConfig model, std::uint32_t seed) : config(std::move(model)) {
  config.resolve();
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  const auto draw = [&](double scale, double offset) {
    return round_to(DType::fp16, offset + scale * uniform(random));
  };
  specs_ = nn::model_parameters(config);
  for (const nn::ParameterSpec& spec : specs_) {
    const bool is_norm = spec.init == nn::Init::ones;
    // Not a language model's own scale, so small that its attention is hardly more than a mean.
    const double scale = is_norm ? 0.4 : 1 / std::sqrt(static_cast<double>(spec.shape[1]));
    std::vector<float> values(static_cast<std::size_t>(spec.shape.elements()));
    for (float& value : values) value = static_cast<float>(draw(scale, is_norm ? 1 : 0));
    values_.push_back(std::move(values));
    weights.add(spec.name, spec.shape, values_.back());
  }
  if (config.is_language_model()) {
    add_rows();
    std::uniform_int_distribution<std::int64_t> token(0, config.vocab - 1);
    for (std::int64_t s = 0; s <= config.seq; ++s)
      inputs["tokens"].push_back(static_cast<double>(token(random)));
    inputs["loss_scale"] = {static_cast<double>(config.seq)};
    return;
  }
  const std::int64_t elements = config.dim * config.seq;
  for (std::int64_t i = 0; i < elements; ++i) {
    inputs["x"].push_back(draw(0.5, 0));
    inputs["target"].push_back(draw(0.5, 0));
  }
  inputs["loss_scale"] = {static_cast<double>(elements) / 2};
}

void LayerCase::add_rows() {
  for (const nn::ParameterRows& rows : nn::classifier_rows(config)) {
    const auto& whole = weights.get(rows.parameter);
    const auto columns = static_cast<std::size_t>(whole.shape[1]);
    weights.add(rows.name, {rows.count, whole.shape[1]},
                whole.values.subspan(static_cast<std::size_t>(rows.first) * columns,
                                     static_cast<std::size_t>(rows.count) * columns));
  }
}

mil::TensorMap<double> LayerCase::parameters() const {
  mil::TensorMap<double> result;
  for (const nn::ParameterSpec& spec : specs_) {
    const auto values = weights.get(spec.name).values;
    result[spec.name].assign(values.begin(), values.end());
  }
  return result;
}

double scaled_loss_derivative(const LayerCase& layer, const nn::StepGraph& graph,
                              const mil::TensorMap<Complex>& inputs,
                              const mil::TensorMap<Complex>& weights) {
  mil::ConstantSource constants(&layer.weights);
  const auto values = evaluate_step_perturbed(graph, inputs, constants, weights, StepPart::forward);
  return values.tensors.at(loss_name(graph)).front().imag() / kComplexStep *
         layer.inputs.at("loss_scale").front();
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

std::string loss_name(const nn::StepGraph& graph) {
  return graph.host_ops.empty() ? graph.loss : "loss";
}

void expect_close(const StepValues<double>& actual, const StepValues<double>& exact,
                  const nn::StepGraph& graph, double relative, const std::string& what) {
  for (const auto& [name, expected] : exact.gradients) {
    EXPECT_LE(distance(actual.gradients.at(name), expected), relative * norm(expected))
        << name << " " << what;
  }
  for (const std::string& name : {loss_name(graph), graph.output, graph.input_gradient}) {
    const auto& expected = exact.tensors.at(name);
    EXPECT_LE(distance(actual.tensors.at(name), expected), relative * norm(expected))
        << name << " " << what;
  }
}

}  // namespace anemone::test

// Runs a whole training step (nn::StepGraph) on the reference evaluator or on an engine, with the
// host's weight gradients, and returns every tensor by its global name. Slow and simple: what
// trainers and engines are compared with.
#pragma once

#include <complex>
#include <cstdint>
#include <string>
#include <vector>

#include "anemone/engine/engine.h"
#include "anemone/mil/evaluate.h"
#include "anemone/nn/layer.h"

namespace anemone::test {

template <class T>
struct StepValues {
  mil::TensorMap<T> tensors;    // every global tensor, inputs too
  mil::TensorMap<T> gradients;  // by parameter, row-major in its shape; of the scaled loss
};

enum class StepPart { forward, whole };  // forward: up to the loss, no gradients

// `inputs`: graph.input, graph.target and graph.loss_scale; of a language model "tokens", seq + 1
// ids (negative: no token; as a target it does not count), and "loss_scale". Real: rounded as
// declared unless options say otherwise.
StepValues<double> evaluate_step(const nn::StepGraph& graph, const mil::TensorMap<double>& inputs,
                                 mil::ConstantSource& constants,
                                 const mil::EvaluateOptions& options = {},
                                 StepPart part = StepPart::whole);

// Never rounded; `weights` replaces parameters, by name, as in mil::evaluate_perturbed.
using Complex = std::complex<double>;
StepValues<Complex> evaluate_step_perturbed(const nn::StepGraph& graph,
                                            const mil::TensorMap<Complex>& inputs,
                                            mil::ConstantSource& constants,
                                            const mil::TensorMap<Complex>& weights,
                                            StepPart part = StepPart::whole);

// One program on an engine: compiles, binds fresh surfaces, runs.
mil::TensorMap<double> run_on_engine(engine::Engine& engine, const mil::Function& function,
                                     const mil::TensorMap<double>& inputs,
                                     const engine::CompileOptions& options);

// The step on an engine, every kernel and glue program compiled by itself; options.pack_io is for
// the kernels, not for glue, whose ports are of several kinds.
StepValues<double> run_step_on_engine(engine::Engine& engine, const nn::StepGraph& graph,
                                      const mil::TensorMap<double>& inputs,
                                      const engine::CompileOptions& options);

// The loss among a step's tensors.
std::string loss_name(const nn::StepGraph& graph);

// Layers, or a whole language model, with random weights (norms around 1, not 1) and a random
// sample, all numbers exact in fp16, so that the element type of the programs does not change the
// function. The loss scale makes dy = y - target, and the weight of every target 1.
class LayerCase {
 public:
  LayerCase(nn::ModelConfig config, std::uint32_t seed);
  LayerCase(const LayerCase&) = delete;  // the store points into this object
  LayerCase& operator=(const LayerCase&) = delete;

  nn::ModelConfig config;                     // resolved
  mil::WeightStore weights;                   // parameters and the classifier's rows
  mil::TensorMap<double> inputs;              // as evaluate_step wants them
  mil::TensorMap<double> parameters() const;  // as doubles

 private:
  void add_rows();
  std::vector<nn::ParameterSpec> specs_;
  std::vector<std::vector<float>> values_;
};

// An imaginary part for derivatives: no digit is lost to it, as imaginary parts are never added to
// real ones.
inline constexpr double kComplexStep = 1e-50;

// The derivative of the scaled loss along the imaginary parts, which have this step.
double scaled_loss_derivative(const LayerCase& layer, const nn::StepGraph& graph,
                              const mil::TensorMap<Complex>& inputs,
                              const mil::TensorMap<Complex>& weights);

template <class T>
mil::TensorMap<T> convert(const mil::TensorMap<double>& tensors) {
  mil::TensorMap<T> result;
  for (const auto& [name, values] : tensors)
    result[name] = std::vector<T>(values.begin(), values.end());
  return result;
}

double norm(const std::vector<double>& values);  // Euclidean
double distance(const std::vector<double>& a,
                const std::vector<double>& b);  // norm(a - b); sizes must agree
double unit_roundoff(DType dtype);              // 2^-11 for fp16, 2^-24 for fp32

// Operations other than const: an upper bound of how often a value is rounded on its way.
int count_operations(const mil::Function& function);
int count_operations(const nn::StepGraph& graph);

// How far, relative to its norm, rounding may move a tensor that so many operations lead to, none
// of them a sum of more than `terms`: each rounds every element once, by at most the unit roundoff,
// and may have added up its terms in fp32. The errors are independent of each other, so they add up
// in squares.
double rounding(int operations, std::int64_t terms, DType dtype);

// All gradients, the loss, the output and dx: within `relative` of the exact tensor's norm.
void expect_close(const StepValues<double>& actual, const StepValues<double>& exact,
                  const nn::StepGraph& graph, double relative, const std::string& what);

}  // namespace anemone::test

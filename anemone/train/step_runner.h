// Runs steps: compiles the kernels of a graph on an engine, binds them to planned surfaces, and
// accumulates gradients.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "anemone/engine/engine.h"
#include "anemone/nn/layer.h"
#include "anemone/train/metrics.h"
#include "anemone/train/parameters.h"
#include "anemone/train/step_plan.h"

namespace anemone::train {

struct StepResult {
  Status status;    // an engine's failure
  double loss = 0;  // unscaled
  StepTimes times;
  std::string non_finite;  // the first tensor that held a non-finite number (looked for when the
                           // loss or a gradient is one)
};

struct RunnerOptions {
  engine::CompileOptions compile;
  int threads = 0;
};

class StepRunner {
 public:
  // `host_engine` runs glue programs when `engine` is not on the host; the same object otherwise.
  StepRunner(nn::StepGraph graph, engine::Engine& engine, engine::Engine& host_engine,
             ParameterList& parameters, const RunnerOptions& options);
  ~StepRunner();

  // Programs compiled by one update of the weights, and so far in this process.
  int compiles_per_update() const;
  int compiles() const;

  // Forward, loss, backward; adds this sample's gradients, times the loss scale, to the parameters'
  // gradients (unless `accumulate` is false: validation). x, target: [dim, seq] row-major.
  StepResult run(std::span<const float> x, std::span<const float> target, double loss_scale,
                 bool accumulate = true);
  // Waits for weight gradients still running beside the engine.
  Status finish_gradients();
  // Gives the parameters' present values to every program; compile time in milliseconds.
  Status update_weights(double& milliseconds);

  // A tensor of the last step by global name, for tests and diagnosis (row-major, as doubles).
  std::vector<double> tensor(std::string_view name);
  std::string explain() const;
  std::size_t surface_bytes() const;
  std::size_t engine_bytes() const;  // scratch and constants

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace anemone::train

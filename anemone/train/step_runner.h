// Runs steps: compiles the kernels of a graph on an engine, binds them to planned surfaces, and
// accumulates gradients. After the first step nothing is allocated.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/compute/thread_pool.h"
#include "anemone/engine/engine.h"
#include "anemone/nn/layer.h"
#include "anemone/train/metrics.h"
#include "anemone/train/parameters.h"
#include "anemone/train/sample.h"
#include "anemone/train/step_plan.h"

namespace anemone::train {

struct StepResult {
  Status status;    // an engine's failure
  double loss = 0;  // unscaled
  // What it is the mean of, where samples differ in that: targets that count in a language model.
  std::int64_t targets = 1;
  // The loss, and the gradients of the step that are small enough to look at each time. Products in
  // the background are seen by first_non_finite() only.
  bool finite = true;
  StepTimes times;
};

struct RunnerOptions {
  engine::CompileOptions compile;
  int threads = 0;                // of the host's share, where no pool is given; 0 = what there is
  bool keep_all_tensors = false;  // tensor() gives any of them; takes more memory
};

// What a step holds, in bytes.
struct StepMemory {
  std::size_t constants = 0;  // weights and constants in the engines' own form
  std::size_t one_form = 0;   // of these, the largest form of each packed weight
  std::size_t scratch = 0;    // values inside of programs, one program's at a time, and workspaces
  std::size_t surfaces = 0;   // tensors between programs: activations and what flows back
  std::size_t host = 0;       // workspace of the host's own work
  std::size_t lanes = 0;      // gradients of steps that run side by side (step_team.h)
  std::size_t engine() const { return constants + scratch; }
};

// What a part of the last step took, for benchmarks.
struct StepPart {
  // tokens: host operations on ids.
  enum class Kind : std::uint8_t { kernel, glue, copies, tokens, gradient };
  Kind kind = Kind::kernel;
  std::string name;
  double flops = 0;  // of matrix products, as usually counted
  double milliseconds = 0;
  // Milliseconds since the step began; not of copies and tokens, which are spread out.
  double begin = 0;
};

class StepRunner {
 public:
  // `host_engine` runs glue programs when `engine` is not on the host; the same object otherwise.
  StepRunner(nn::StepGraph graph, engine::Engine& engine, engine::Engine& host_engine,
             ParameterList& parameters, const RunnerOptions& options);
  // The same on the caller's threads, which nobody else uses during a call.
  StepRunner(nn::StepGraph graph, engine::Engine& engine, engine::Engine& host_engine,
             ParameterList& parameters, const RunnerOptions& options, compute::ThreadPool& pool);
  ~StepRunner();

  // Programs that get new weights with each update, and programs compiled in all, counting each new
  // set of weights. Glue does not count.
  int compiles_per_update() const;
  int compiles() const;
  double compile_milliseconds() const;  // of the constructor

  // Forward, loss, backward; adds this sample's gradients, times the loss scale, to the parameters'
  // gradients. Without `accumulate` it ends before the backward pass (validation).
  StepResult run(const Sample& sample, double loss_scale, bool accumulate = true);
  // Waits for weight gradients still running beside the engine.
  Status finish_gradients();
  // Whoever has set the gradients to other values says so: what was not finite is forgotten.
  void begin_gradients();
  // From now on gradients are added to this block, of the size and layout of the parameters' own
  // (ParameterList::gradients), instead of to that.
  void add_gradients_to(std::span<float> block);
  // Gives the parameters' present values to every program; compile time in milliseconds.
  Status update_weights(double& milliseconds);

  // The first tensor of the last step, in call order, that holds a non-finite number, among those
  // that nothing has overwritten and the gradients of norms: "l0.dh1, written by l0.ffn_bwd"; else
  // "the gradient of l0.w1"; empty if none does.
  std::string first_non_finite();

  // A tensor of the last step by global name, for tests and diagnosis (row-major, as doubles).
  // Throws Error for one that is overwritten (RunnerOptions::keep_all_tensors).
  std::vector<double> tensor(std::string_view name);
  std::span<const StepPart> parts();  // of the last step, in order
  // Of a step, in matrix products, without the masked half of attention where the engine skips it.
  double executed_flops() const;
  std::string explain() const;
  const StepPlan& plan() const;
  StepMemory memory() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Multiply-adds of a program's matrix products (conv and matmul), times 2.
double program_flops(const mil::Function& function);
// The graph without its backward pass: it ends before first_backward_call.
nn::StepGraph forward_part(nn::StepGraph graph);
// Does any of its constants name a tensor of the WeightStore?
bool uses_weights(const mil::Function& function);

}  // namespace anemone::train

// Runs the steps of an update side by side: they are dealt out to lanes, each of which adds its
// steps up in a gradient of its own. A small step does not fill the threads (its regions are short,
// and threads wait for each other at their ends); whole steps beside each other do.
//
// The lanes' gradients are added up in the order of the lanes. So the numbers depend on how many
// lanes there are (train.lanes), and not on how many of them run at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "anemone/base/aligned_buffer.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/engine/engine.h"
#include "anemone/nn/step_graph.h"
#include "anemone/train/parameters.h"
#include "anemone/train/run_config.h"
#include "anemone/train/sample.h"
#include "anemone/train/step_runner.h"

namespace anemone::train {

// train.lanes; where that is 0, as many as suit the size of the gradient. At most one a step.
int lanes_of(const RunConfig& config, std::size_t gradient_bytes);

struct TeamStep {
  StepResult result;
  std::string non_finite;  // of several lanes: where the first step of its lane that had a
                           // non-finite number had it
};

class StepTeam {
 public:
  using MakeEngine = std::function<std::unique_ptr<engine::Engine>(int threads)>;

  // Steps run on `engine`, one at a time; or, where there are several lanes and threads and the
  // engine computes on this host, several at a time on engines that `make_engine` makes, which
  // share the threads evenly. Nobody else uses `pool` during a call.
  StepTeam(const nn::StepGraph& graph, engine::Engine& engine, engine::Engine& host_engine,
           ParameterList& parameters, compute::ThreadPool& pool, const RunnerOptions& options,
           int lanes = 1, const MakeEngine& make_engine = {});

  int lanes() const { return lanes_; }
  int width() const { return static_cast<int>(runners_.size()); }  // steps at a time
  const StepRunner& runner() const { return *runners_.front(); }   // all are alike

  // Adds the gradients of all samples to the parameters' gradients. Of several lanes, either all or
  // none is added: none when a step fails, which the result then holds alone, or when `stopped`,
  // which the calling thread asks between two steps, says so: the result is empty then. With one
  // lane nobody asks, and the result ends with a step that failed.
  std::span<TeamStep> train(std::span<const Sample> samples, double loss_scale,
                            const std::function<bool()>& stopped = {});
  // The losses only, each with its status.
  std::span<TeamStep> evaluate(std::span<const Sample> samples);

  Status finish_gradients() { return runners_.front()->finish_gradients(); }
  void begin_gradients();
  // Where the first non-finite number of a step just done is, or of the gradient as a whole; empty:
  // it is in no tensor that is kept.
  std::string first_non_finite(const TeamStep& step);
  std::string first_non_finite() { return runners_.front()->first_non_finite(); }

  Status update_weights(double& milliseconds);
  double compile_milliseconds() const;  // of the constructor
  StepMemory memory() const;

 private:
  std::span<float> gradient_of(int lane);
  void for_each(int tasks, const std::function<void(int task, StepRunner& runner)>& body);
  void run_lane(int lane, StepRunner& runner, std::span<const Sample> samples, double loss_scale,
                const std::function<bool()>& stopped);
  bool is_over(const std::function<bool()>& stopped);
  std::span<TeamStep> first_failure();
  void add_lanes(std::size_t samples);

  compute::ThreadPool& pool_;
  int lanes_;
  std::span<float> gradients_;  // the parameters' own
  AlignedBuffer lane_gradients_;
  std::unique_ptr<compute::ThreadPool> workers_;  // one for each of several runners
  std::vector<std::unique_ptr<engine::Engine>> engines_;
  std::vector<std::shared_ptr<compute::ThreadPool>> threads_;  // beside each engine
  std::vector<std::unique_ptr<StepRunner>> runners_;
  std::vector<std::span<const float>> parts_;  // of the sum

  // The last call.
  std::vector<TeamStep> steps_;
  std::atomic<bool> over_{false};  // a step failed, or the run is stopped
};

}  // namespace anemone::train

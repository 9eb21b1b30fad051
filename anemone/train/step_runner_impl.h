// Inside of StepRunner: what step_setup.cpp sets up, step_runner.cpp runs and step_facts.cpp tells
// about. Only they include it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "anemone/base/clock.h"
#include "anemone/compute/copy.h"
#include "anemone/train/gradient_block.h"
#include "anemone/train/gradient_work.h"
#include "anemone/train/step_runner.h"
#include "anemone/train/token_ops.h"
#include "anemone/train/weight_surfaces.h"

namespace anemone::train {

class StepRunner::Impl {
 public:
  Impl(nn::StepGraph graph, engine::Engine& engine, engine::Engine& host_engine,
       ParameterList& parameters, const RunnerOptions& options, compute::ThreadPool* pool);

  StepResult run(const Sample& sample, double loss_scale, bool accumulate);
  Status finish_gradients() {
    work_->wait_all();
    return work_->status();
  }
  void begin_gradients() {
    work_->wait_all();
    work_->clear_non_finite();
  }
  void add_gradients_to(std::span<float> block) {
    work_->wait_all();
    gradients_.use(block);
  }
  Status update_weights(double& milliseconds);
  std::string first_non_finite();
  std::vector<double> tensor(std::string_view name);
  std::span<const StepPart> parts();
  double executed_flops() const;
  std::string explain() const;

  int compiles_per_update() const { return compiles_per_update_; }
  int compiles() const {
    const int used = engine_.compiles_used();
    return used >= 0 ? used : compiles_;
  }
  double compile_milliseconds() const { return compile_milliseconds_; }
  const StepPlan& plan() const { return plan_; }
  StepMemory memory() const;

 private:
  struct Copy {
    compute::CopyPlan plan;
    int from, to;  // surfaces
    std::size_t from_offset, to_offset;
  };
  // Between a tensor of the step and a row-major fp32 array of the host.
  struct HostCopy {
    compute::CopyPlan plan;
    int surface = -1;  // -1: no call reads it
    std::size_t offset = 0, elements = 0;
  };
  // A gradient that some kernel computes, small enough to look at in each step.
  struct Direct {
    HostCopy reading;
    std::string tensor;
  };
  // What happens at one call, in this order; the last stage has no call.
  struct Stage {
    std::vector<int> waits;  // jobs that read, or add to, what is written here
    std::vector<int> ops;    // of the host
    std::vector<Copy> copies;
    std::unique_ptr<engine::Binding> binding;
    std::vector<int> directs;  // that it wrote
    std::vector<int> jobs;     // weight gradients that can be computed now
    bool host = false;
  };
  static std::size_t at(int index) { return static_cast<std::size_t>(index); }

  // step_setup.cpp
  bool on_host_engine(const nn::Kernel& kernel) const { return kernel.host && background_; }
  void compile(ParameterList& parameters, const RunnerOptions& options);
  void count_compiles();
  void make_memory(const RunnerOptions& options);
  void make_stages();
  void make_parts();
  void make_token_ops(ParameterList& parameters);
  void make_gradient_work(ParameterList& parameters, const RunnerOptions& options);
  void share_scratch();
  void bind_kernels();
  void make_waits();
  HostCopy make_host_copy(const std::string& name) const;
  GradientWork::Source source_of(const std::string& tensor);
  TokenOps::Tensor operand(const std::string& tensor);
  engine::Surface& surface(int index) { return *surfaces_[at(index)]; }

  // step_runner.cpp
  void write_input(const HostCopy& input, std::span<const float> values);
  void write_loss_scale(double loss_scale);
  void write_sample(const Sample& sample, double loss_scale);
  void run_token_ops(const Stage& stage, bool accumulate);
  void run_copies(const Stage& stage);
  Status run_call(std::size_t call);
  void check_directs(const Stage& stage);
  Status run_stage(std::size_t index, bool accumulate, bool has_call);
  void wait_for(const std::vector<int>& jobs);
  double read_loss();

  // step_facts.cpp
  bool is_gone(const std::string& tensor) const;
  bool holds_non_finite(const std::string& tensor);

  nn::StepGraph graph_;
  engine::Engine& engine_;
  engine::Engine& host_engine_;
  bool background_;
  std::unique_ptr<compute::ThreadPool> own_pool_;
  compute::ThreadPool& pool_;
  std::unique_ptr<compute::ThreadPool> gradient_pool_;  // background only
  AlignedBuffer shared_scratch_;  // of programs, and of inline weight gradients
  std::vector<std::unique_ptr<engine::Executable>> executables_;
  std::vector<bool> has_weights_;
  int compiles_per_update_ = 0, compiles_ = 0;
  double compile_milliseconds_ = 0;
  StepPlan plan_;
  std::vector<std::unique_ptr<engine::Surface>> surfaces_;
  WeightSurfaces weight_surfaces_;
  std::vector<Stage> stages_;
  HostCopy input_, target_;
  std::vector<int> input_waits_;  // jobs that read what the host writes before a step
  GradientBlock gradients_;
  TokenOps token_ops_;
  std::unique_ptr<GradientWork> work_;
  std::vector<Direct> directs_;
  std::vector<float> scratch_;
  std::vector<StepPart> parts_;  // copies, tokens if there are any, one a call, one a job
  std::size_t first_call_part_ = 0, first_job_part_ = 0;

  // The last step.
  Clock::time_point began_{};
  StepTimes times_;
  int last_stage_ = -1;
  int bad_direct_ = -1;  // the first one that was not finite
};

}  // namespace anemone::train

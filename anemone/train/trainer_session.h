// Everything a training process holds: the trainer's parts, set up in the one order that works, and
// the checkpoints that connect this process with the ones before and after it.
#pragma once

#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "anemone/base/clock.h"
#include "anemone/compute/peak.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/engine/engine.h"
#include "anemone/train/checkpoint.h"
#include "anemone/train/data_source.h"
#include "anemone/train/metrics.h"
#include "anemone/train/parameters.h"
#include "anemone/train/run_directory.h"
#include "anemone/train/step_team.h"
#include "anemone/train/text_measure.h"
#include "anemone/train/text_sampler.h"
#include "anemone/train/trainer.h"
#include "anemone/train/trainer_state.h"

namespace anemone::train {

// Thrown while a session is opened, once a signal asks to stop.
struct StopRequested {
  int signal = 0;
};

struct Session {
  explicit Session(const TrainerOptions& options);

  // Locks the folder, loads or initializes, checks the compile budget, compiles. Throws Error or
  // StopRequested; a folder that was made for nothing is removed then.
  void open();
  // The same without a folder: nothing is written. For a plan of the run (run_plan.h).
  void open_for_plan();

  Status save();  // a checkpoint of the present state
  bool is_saved() const;
  // Is the present state one that train.on_nonfinite = "rollback" goes back to, once it is saved?
  bool is_rollback_point() const;
  // Back to the last such checkpoint, with the data that follows the present step; programs need
  // new weights then.
  Status go_back();
  std::string describe_saved() const;  // "the checkpoint of step 100"
  void clear_gradients();
  // Steps that are done at once: one, or all that are left of an update whose lanes run side by
  // side.
  std::uint64_t steps_at_once() const;
  // That many samples, from this one on.
  std::span<const Sample> training_samples(std::uint64_t first, std::uint64_t count);
  std::span<const Sample> validation_samples(std::uint64_t first, std::uint64_t count);
  std::uint64_t tokens_of(std::uint64_t steps) const;     // 0 for layers alone
  CheckpointContents contents(bool with_gradient) const;  // of a checkpoint of the present state
  Report make_report() const;
  void message(const std::string& text) const {
    if (options.on_message) options.on_message(text);
  }
  void throw_if_stopped() const;
  bool writes_samples() const { return sampler != nullptr && sampler->writes(); }
  int signal() const { return options.pending_signal ? options.pending_signal() : 0; }

  const TrainerOptions& options;
  RunConfig config;
  Clock::time_point started = Clock::now();
  TrainerState state;
  struct Saved {
    std::uint64_t step = 0, update = 0;
    bool validation_due = false, sample_due = false;
    std::uint64_t validation_done = 0;
    std::uint64_t data_offset = 0;
    double best_loss = std::numeric_limits<double>::infinity();
    std::uint64_t best_step = 0;
    bool operator==(const Saved&) const = default;
  } saved;                      // the newest checkpoint, or the beginning
  bool has_checkpoint = false;  // is it the former?
  double wall_before = 0;       // seconds, by the processes before
  int compile_limit = 0;        // 0 = none
  int lanes = 1;                // train.lanes, or what suits
  std::string partition;

  std::unique_ptr<RunDirectory> directory;
  std::unique_ptr<CheckpointStore> checkpoints;
  std::unique_ptr<engine::Engine> own_engine, own_host_engine;
  engine::Engine* engine = nullptr;
  engine::Engine* host_engine = nullptr;
  std::shared_ptr<compute::ThreadPool> pool;
  compute::Peak peak;
  std::unique_ptr<ParameterList> parameters;
  std::unique_ptr<DataSource> data;
  std::unique_ptr<TextMeasure> text_measure;  // of a language model
  std::unique_ptr<TextSampler> sampler;       // likewise
  std::unique_ptr<StepTeam> team;
  std::unique_ptr<MetricsLog> metrics;
  std::vector<Sample> samples;

 private:
  void prepare();
  std::optional<LoadedCheckpoint> open_folder();
  nn::StepGraph set_up();
  bool has_best_here() const;
  void make_engines();
  std::string partition_for(const engine::Engine& candidate) const;
  engine::Support takes_model(const engine::Engine& candidate) const;
  void check_compile_limit(const nn::StepGraph& graph) const;
  void start_new();
  void initialize();
  void resume(LoadedCheckpoint& loaded);
  void repair_marks();
  void compile(const nn::StepGraph& graph);
  void open_metrics(bool resumed);
  std::map<std::string, std::string> environment() const;
  void report_environment_changes(const std::map<std::string, std::string>& before) const;
  void introduce() const;
  void warn_of_full_disk() const;
};

}  // namespace anemone::train

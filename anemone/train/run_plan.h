// What a run would be, without being one: sizes, work and time. `anemone train --dry-run` prints
// it.
//
// Nothing is worked out a second time here: the programs are compiled and their memory is there, as
// in a run, and whoever holds something says how much. A few steps are timed. Nothing is written
// but the cache of token ids, which the run would find.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "anemone/nn/layer.h"
#include "anemone/train/step_runner.h"
#include "anemone/train/trainer.h"

namespace anemone::train {

struct PlannedPart {
  std::string name;  // "attention"
  std::int64_t parameters = 0;
};

struct PlannedCourse {
  std::uint64_t steps = 0, updates = 0, accumulate = 0;
  std::uint64_t tokens_per_step = 0;  // 0 for layers alone
  std::uint64_t samples = 0;          // training: an epoch of steps
  std::uint64_t held_out = 0;         // samples of a validation
  std::uint64_t validations = 0;      // the one before the first step included
  std::uint64_t texts = 0;            // samples of text that a language model writes
  double epochs() const;
};

// Programs compiled, and how often: as an engine counts them.
struct PlannedCompiles {
  std::uint64_t at_start = 0, per_update = 0;
  std::uint64_t in_all = 0;    // of the run, those of restarts included
  std::uint64_t limit = 0;     // of a process; 0 = none
  std::uint64_t restarts = 0;  // that the limit leads to
};

// Bytes.
struct PlannedMemory {
  std::size_t weights = 0, gradients = 0, moments = 0;  // fp32
  StepMemory step;
  std::size_t data = 0;
  std::size_t sampler = 0;    // while a sample of text is written
  std::size_t mapped = 0;     // of files of data, which the system drops when memory is short
  std::size_t total() const;  // without what is mapped
  std::size_t available = 0;  // of the machine when the plan began; 0 = unknown
};

struct PlannedCheckpoints {
  std::uint64_t bytes = 0;            // of one
  std::uint64_t bytes_in_update = 0;  // of one that holds a half-accumulated gradient
  std::uint64_t most = 0;             // at once, the one that is being written included
  std::int64_t every_steps = 0;       // 0 = not by steps
  double every_minutes = 0;           // 0 = not by time
};

// Milliseconds, measured in a few steps that lead nowhere.
struct PlannedTimes {
  double step = 0, update = 0, validation = 0, text = 0;
  std::uint64_t timed_steps = 0;
};

struct RunPlan {
  RunConfig config;
  std::string folder, data;
  std::string engine, partition, isa, cpu, build;
  int threads = 0;
  std::int64_t parameters = 0;
  std::vector<PlannedPart> parts;
  PlannedCourse course;
  PlannedCompiles compiles;
  nn::StepFlops flops;        // of a step, as usually counted
  double executed_flops = 0;  // of a step
  PlannedMemory memory;
  PlannedCheckpoints checkpoints;
  PlannedTimes times;
  double seconds = 0;  // of the whole run, without checkpoints
  double peak_tflops = 0, utilization = 0;
};

// For the run that train() would begin with these options. Throws Error where that would; resume,
// on_progress and pending_signal are not looked at.
RunPlan plan_run(const TrainerOptions& options);

std::string to_text(const RunPlan& plan);
std::string to_json(const RunPlan& plan);

}  // namespace anemone::train

// The training loop: steps, updates, compile budget, checkpoints, signals, metrics, report. It
// names no engine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "anemone/compute/peak.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/engine/engine.h"
#include "anemone/train/report.h"
#include "anemone/train/run_config.h"

namespace anemone::train {

// How a run ended, and what the process should do next.
enum class Outcome : std::uint8_t {
  finished,         // all steps done
  time_is_up,       // max_minutes; checkpointed
  interrupted,      // a signal; checkpointed
  out_of_compiles,  // checkpointed; execute the program again with --resume
  failed,           // an engine or the disk failed; `message` says what; the last checkpoint stands
};

// What the trainer tells while it runs; the command line draws it.
struct Progress {
  std::uint64_t step = 0, steps = 0;
  std::uint64_t update = 0;
  double loss = 0;
  double loss_scale = 1;
  double tokens_per_second = 0;  // over steps and updates of this process; 0 for layers alone
  double ms_per_step = 0;        // of the last step
  double seconds_left = 0;       // estimate, updates and compiles included
};

struct TrainerOptions {
  RunConfig config;
  std::filesystem::path out;  // run folder
  bool resume = false;
  std::filesystem::path init;  // safetensors with initial weights; empty = the source's own
  bool continues = false;      // re-executed for its compile budget: the checkpoint must be there
  double seconds_spent = 0;    // of max_minutes, by the processes before this one
  std::function<void(const Progress&)> on_progress;  // after each step
  // After each sample of a validation: how many of how many.
  std::function<void(std::uint64_t done, std::uint64_t of)> on_validation;
  std::function<void(const std::string&)> on_message;  // what happened; without a line end
  // Polled between samples and before and after compiles: a pending signal number, or 0.
  std::function<int()> pending_signal;
  engine::Engine* engine = nullptr;     // instead of the config's, for tests and embedding
  const compute::Peak* peak = nullptr;  // instead of measuring it
};

struct TrainResult {
  Outcome outcome = Outcome::finished;
  std::string message;
  bool has_checkpoint = false;   // to go on from
  std::uint64_t step = 0;        // where the last one stands
  std::uint64_t steps_lost = 0;  // done behind it, and not saved
  int signal = 0;                // that interrupted it
  Report report;
};

// Runs until done. Throws Error for a bad config, a conflicting resume, a locked folder, a compile
// that fails at the start, a compile budget too small for one update (saying what would fit).
TrainResult train(const TrainerOptions& options);

// How a config's engine runs products, and with which element type.
engine::CompileOptions compile_options(const EngineConfig& config);
engine::EngineOptions engine_options(const EngineConfig& config);
// An engine on this host, for glue and labels: `engine` itself where it is one; else the first of
// the list that can be had, kept in `owned`.
engine::Engine& host_engine_of(engine::Engine& engine, int threads,
                               std::unique_ptr<engine::Engine>& owned);
// The threads of that engine, or as many of its own where it lends none; 0 = what there is.
std::shared_ptr<compute::ThreadPool> threads_beside(const engine::Engine& host_engine, int threads);

}  // namespace anemone::train

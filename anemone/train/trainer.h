// The training loop: steps, updates, compile budget, checkpoints, signals, metrics, report. It
// names no engine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "anemone/train/metrics.h"
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
  double ms_per_step = 0;   // median of the last steps
  double seconds_left = 0;  // estimate
};

struct TrainerOptions {
  RunConfig config;
  std::filesystem::path out;  // run folder
  bool resume = false;
  std::filesystem::path init;  // safetensors with initial weights; empty = the source's own
  std::function<void(const Progress&)> on_progress;
  std::function<void(const std::string&)> on_message;  // one line: what happened
  // Polled between micro-steps, during compiles and checkpoints: a pending signal number, or 0.
  std::function<int()> pending_signal;
};

struct TrainResult {
  Outcome outcome = Outcome::finished;
  std::string message;
  Report report;
};

// Runs until done. Throws Error for a bad config, a conflicting resume, a locked folder, a compile
// that fails twice the same way, a compile budget too small for one update (saying what would fit).
TrainResult train(const TrainerOptions& options);

}  // namespace anemone::train

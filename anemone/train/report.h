// The report at the end of a run, as data; `to_text` and `to_json` format it. Every figure is
// measured in the run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "anemone/nn/layer.h"
#include "anemone/train/metrics.h"

namespace anemone::train {

struct Report {
  std::uint64_t steps = 0, updates = 0,
                skipped_updates = 0;  // whole run, earlier processes included
  double first_loss = 0, last_loss = 0;
  std::optional<double> first_validation_loss, last_validation_loss;  // with held-out samples
  // The last text that a language model wrote (text_sampler.h).
  struct Sample {
    std::uint64_t update = 0;
    std::string prompt, text;
  };
  std::optional<Sample> sample;
  std::uint64_t rollbacks = 0;
  std::uint64_t tokens = 0;             // trained on, of a language model
  std::optional<double> bits_per_byte;  // at the last validation
  // Wall = train + compile + checkpoint + the rest (start-up, data, validation).
  double wall_seconds = 0, train_seconds = 0, compile_seconds = 0, checkpoint_seconds = 0;
  std::uint64_t compiles = 0, restarts = 0;
  double ms_per_step_median = 0, ms_per_step_p90 = 0;
  StepTimes mean_times;       // a step's, its share of updates included
  nn::StepFlops flops;        // per step, as usually counted
  double executed_flops = 0;  // per step, causal half skipped where the engine does
  double engine_tflops = 0, total_tflops = 0;  // sustained, of what is executed
  double peak_tflops = 0;                      // measured on this machine at start
  double tokens_per_second = 0;                // over steps and updates
  double utilization = 0;                      // total_tflops over the peak
  std::int64_t parameters = 0;
  std::size_t parameter_bytes = 0, surface_bytes = 0, engine_bytes = 0, peak_memory_bytes = 0;
  std::string engine, partition, precision, isa, build, cpu, data;
  int threads = 0;
};

std::string to_text(const Report& report);
std::string to_json(const Report& report);

// Fills in what the metrics of a run say: losses, and the times of its steps.
void summarize_metrics(const std::filesystem::path& metrics, Report& report);

// Sets engine_tflops, total_tflops and utilization from the other fields.
void compute_rates(Report& report);

// A loss as people read it: eight decimals, or "nan", "inf", "-inf".
std::string loss_text(double loss);

}  // namespace anemone::train

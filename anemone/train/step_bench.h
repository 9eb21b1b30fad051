// Times training steps of a config, part by part, against the peak measured on the same machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "anemone/compute/peak.h"
#include "anemone/nn/layer.h"
#include "anemone/train/metrics.h"
#include "anemone/train/run_config.h"

namespace anemone::train {

struct BenchPart {
  std::string name, kind;   // kind: kernel, glue, copies, tokens, dw
  double milliseconds = 0;  // median
  double gflop = 0;         // of matrix products, as usually counted
  double share = 0;         // of the step
};

// Bytes.
struct BenchMemory {
  std::size_t parameters = 0;  // master weights, gradients and both moments
  std::size_t packed = 0;      // weights in the engine's form, one of each
  std::size_t forms = 0;       // further forms of the same weights, and other constants
  std::size_t tensors = 0;     // between programs: activations and what flows back
  std::size_t beyond = 0;      // all the rest, with `forms`: values inside of programs, workspaces
  std::size_t resident = 0;    // of the process when the steps were done, itself included
};

// An update of all parameters, milliseconds.
struct BenchUpdate {
  double norm = 0;     // of the gradient, and whether it is finite
  double adam = 0;     // Adam alone
  double clear = 0;    // the gradient to zero
  double weights = 0;  // new weights for every program
  // What Adam reads and writes, each once: weights, gradient and moments, against a copy's.
  double adam_gb_per_second = 0, adam_share = 0;
};

struct StepBench {
  std::string engine, partition, precision, isa, cpu, build;
  int threads = 0;
  std::int64_t steps = 0;
  double ms_per_step = 0;  // median
  double ms_per_step_best = 0, ms_per_step_p90 = 0;
  double tokens_per_second = 0;  // of a language model, in steps alone; else 0
  double model_flops = 0;        // of a step, as usually counted
  double executed_flops = 0;     // causal half skipped where the engine does
  double tflops = 0;             // executed
  double peak_tflops = 0;        // of the units the products can use
  double peak_fp32_tflops = 0, peak_bf16_tflops = 0;
  double copy_gb_per_second = 0;
  double efficiency = 0;  // tflops / peak_tflops
  double compile_ms = 0;
  BenchUpdate update;
  BenchMemory memory;
  nn::StepFlops flops;
  std::vector<BenchPart> parts;
  std::string explain;
};

struct StepBenchOptions {
  std::int64_t steps = 20;
  double most_seconds = 0;              // of timed steps, three at least; 0 = no limit
  bool updates = true;                  // time them too
  const compute::Peak* peak = nullptr;  // instead of measuring it
};

// After two steps that are not counted, times as many as the options say.
StepBench bench_step(const RunConfig& config, const StepBenchOptions& options);

std::string to_text(const StepBench& bench);
std::string to_json(const StepBench& bench);

}  // namespace anemone::train

// Times training steps of a config, part by part, against the peak measured on the same machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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
  double compile_ms = 0, update_weights_ms = 0, adam_ms = 0;
  nn::StepFlops flops;
  std::vector<BenchPart> parts;
  std::string explain;
};

// After two steps that are not counted, times `steps` of them.
StepBench bench_step(const RunConfig& config, std::int64_t steps);

std::string to_text(const StepBench& bench);
std::string to_json(const StepBench& bench);

}  // namespace anemone::train

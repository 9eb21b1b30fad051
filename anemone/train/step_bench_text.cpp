// The benchmark of a step as text and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "anemone/base/megabytes.h"
#include "anemone/train/step_bench.h"

namespace anemone::train {
namespace {

std::string update_text(const BenchUpdate& u) {
  return fmt::format(
      "an update: gradient's norm {:.2f} ms, Adam {:.2f} ({:.1f} GB/s, {:.0f} % of a copy's), "
      "gradient "
      "cleared {:.2f}, new weights {:.2f}\n",
      u.norm, u.adam, u.adam_gb_per_second, 100 * u.adam_share, u.clear, u.weights);
}

std::string memory_text(const BenchMemory& m) {
  return fmt::format(
      "memory: parameters, gradients and moments {:.1f} MB, weights packed once {:.1f}, tensors "
      "{:.1f}, beyond these {:.1f} ({:.1f} of it further forms of weights); resident {:.1f}\n",
      megabytes(m.parameters), megabytes(m.packed), megabytes(m.tensors), megabytes(m.beyond),
      megabytes(m.forms), megabytes(m.resident));
}

}  // namespace

std::string to_text(const StepBench& b) {
  std::string text = fmt::format("{:.2f} ms/step (median of {}; best {:.2f}, p90 {:.2f})\n",
                                 b.ms_per_step, b.steps, b.ms_per_step_best, b.ms_per_step_p90);
  text += fmt::format(
      "{:.2f} GFLOP a step, {:.2f} executed: {:.3f} TFLOP/s, {:.1f} % of the {:.3f} measured here "
      "(fp32 {:.3f}, bf16 {:.3f}; copy {:.1f} GB/s)\n",
      b.model_flops / 1e9, b.executed_flops / 1e9, b.tflops, 100 * b.efficiency, b.peak_tflops,
      b.peak_fp32_tflops, b.peak_bf16_tflops, b.copy_gb_per_second);
  text += update_text(b.update) + memory_text(b.memory);
  text += fmt::format("first compile {:.2f} ms\n", b.compile_ms);
  if (b.tokens_per_second > 0)
    text += fmt::format("{:.0f} tokens/s in steps alone\n", b.tokens_per_second);
  text += fmt::format("{}, partition {}, {}, {} threads, {} on {}\n\n", b.engine, b.partition,
                      b.precision, b.threads, b.isa, b.cpu);
  std::size_t width = 18;  // of the names
  for (const BenchPart& part : b.parts) width = std::max(width, part.name.size() + 2);
  text += fmt::format("{:<{}}{:<8}{:>10}{:>10}{:>10}{:>10}\n", "part", width, "kind", "ms", "GFLOP",
                      "TFLOP/s", "share");
  for (const BenchPart& part : b.parts) {
    const double tflops = part.milliseconds > 0 ? part.gflop / part.milliseconds : 0;
    text += fmt::format("{:<{}}{:<8}{:>10.3f}{:>10.3f}{:>10.3f}{:>8.1f} %\n", part.name, width,
                        part.kind, part.milliseconds, part.gflop, tflops, 100 * part.share);
  }
  return text;
}

std::string to_json(const StepBench& b) {
  nlohmann::ordered_json json;
  json["ms_per_step"] = b.ms_per_step;
  json["ms_per_step_best"] = b.ms_per_step_best;
  json["ms_per_step_p90"] = b.ms_per_step_p90;
  json["steps"] = b.steps;
  if (b.tokens_per_second > 0) json["tokens_per_second"] = b.tokens_per_second;
  json["model_flops"] = b.model_flops;
  json["executed_flops"] = b.executed_flops;
  json["tflops"] = b.tflops;
  json["peak_tflops"] = b.peak_tflops;
  json["peak_fp32_tflops"] = b.peak_fp32_tflops;
  json["peak_bf16_tflops"] = b.peak_bf16_tflops;
  json["copy_gb_per_second"] = b.copy_gb_per_second;
  json["efficiency"] = b.efficiency;
  json["compile_ms"] = b.compile_ms;
  json["update_weights_ms"] = b.update.weights;
  json["adam_ms"] = b.update.adam;
  json["adam_gb_per_second"] = b.update.adam_gb_per_second;
  json["adam_share_of_copy"] = b.update.adam_share;
  json["gradient_norm_ms"] = b.update.norm;
  json["gradient_clear_ms"] = b.update.clear;
  json["bytes"] = {{"parameters", b.memory.parameters}, {"packed", b.memory.packed},
                   {"further_forms", b.memory.forms},   {"tensors", b.memory.tensors},
                   {"beyond", b.memory.beyond},         {"resident", b.memory.resident}};
  json["flops"] = {{"forward", b.flops.forward},
                   {"dx", b.flops.dx},
                   {"dw", b.flops.dw},
                   {"attention_backward", b.flops.attention_backward}};
  json["engine"] = b.engine;
  json["partition"] = b.partition;
  json["precision"] = b.precision;
  json["threads"] = b.threads;
  json["isa"] = b.isa;
  json["cpu"] = b.cpu;
  json["build"] = b.build;
  json["parts"] = nlohmann::ordered_json::array();
  for (const BenchPart& part : b.parts)
    json["parts"].push_back({{"name", part.name},
                             {"kind", part.kind},
                             {"ms", part.milliseconds},
                             {"gflop", part.gflop},
                             {"share", part.share}});
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace anemone::train

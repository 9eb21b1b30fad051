// The report: read from the run's own metrics, formatted for people and for programs.
#include "anemone/train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "anemone/base/counted.h"
#include "anemone/base/quantile.h"
#include "anemone/train/json_number.h"
#include "anemone/train/text_sampler.h"

namespace anemone::train {
namespace {

double number_or_zero(const nlohmann::json& line, const char* name) {
  const auto found = line.find(name);
  return found == line.end() ? 0 : parse_json_number(*found);
}

StepTimes times_of(const nlohmann::json& line) {
  StepTimes times;
  times.total = number_or_zero(line, "ms");
  times.engine = number_or_zero(line, "ms_engine");
  times.host_math = number_or_zero(line, "ms_host");
  times.dw = number_or_zero(line, "ms_dw");
  times.optimizer = number_or_zero(line, "ms_optimizer");
  times.compile = number_or_zero(line, "ms_compile");
  return times;
}

void add(StepTimes& sum, const StepTimes& times) {
  sum.engine += times.engine;
  sum.host_math += times.host_math;
  sum.dw += times.dw;
  sum.optimizer += times.optimizer;
  sum.compile += times.compile;
  sum.total += times.total;
}

StepTimes divided(const StepTimes& sum, double count) {
  return {sum.engine / count,    sum.host_math / count, sum.dw / count,
          sum.optimizer / count, sum.compile / count,   sum.total / count};
}

// As in metrics.jsonl ("nan", "inf"), since JSON has no such numbers; null where there is none.
nlohmann::ordered_json json_loss(std::optional<double> loss) {
  return loss ? nlohmann::ordered_json::parse(json_number(*loss)) : nlohmann::ordered_json();
}

double gigabytes(std::size_t bytes) { return static_cast<double>(bytes) / 1e9; }

std::string share(double part, double whole) {
  return whole > 0 ? fmt::format(" ({:.1f} %)", 100 * part / whole) : "";
}

}  // namespace

std::string loss_text(double loss) {
  return std::isnan(loss) ? "nan" : fmt::format("{:.8f}", loss);  // fmt would show NaN's sign
}

void summarize_metrics(const std::filesystem::path& metrics, Report& report) {
  std::ifstream file(metrics);
  std::vector<double> milliseconds;
  StepTimes sum;
  for (std::string text; std::getline(file, text);) {
    const nlohmann::json line = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object()) continue;
    const std::string type = line.value("type", "");
    if (type == "step") {
      if (milliseconds.empty()) report.first_loss = number_or_zero(line, "loss");
      report.last_loss = number_or_zero(line, "loss");
      milliseconds.push_back(number_or_zero(line, "ms"));
      add(sum, times_of(line));
    } else if (type == "update") {
      add(sum, times_of(line));
    } else if (type == "validation") {
      report.last_validation_loss = number_or_zero(line, "loss");
      if (line.contains("bits_per_byte"))
        report.bits_per_byte = number_or_zero(line, "bits_per_byte");
      if (!report.first_validation_loss) report.first_validation_loss = report.last_validation_loss;
    } else if (type == "sample" && line.contains("text")) {
      report.sample = {line.value("update", std::uint64_t{0}), line.value("prompt", ""),
                       line.value("text", "")};
    }
  }
  if (milliseconds.empty()) return;
  report.mean_times = divided(sum, static_cast<double>(milliseconds.size()));
  report.ms_per_step_median = quantile(milliseconds, 0.5);
  report.ms_per_step_p90 = quantile(milliseconds, 0.9);
}

void compute_rates(Report& report) {
  const double steps = static_cast<double>(report.steps);
  const double engine_share = 1 - report.flops.dw / report.flops.total();
  const double engine_flops = report.executed_flops - report.flops.dw;
  if (report.mean_times.engine > 0 && engine_share > 0)
    report.engine_tflops = engine_flops / (report.mean_times.engine * 1e-3) / 1e12;
  if (report.train_seconds > 0)
    report.total_tflops = report.executed_flops * steps / report.train_seconds / 1e12;
  const double spent = report.train_seconds + report.compile_seconds;
  if (spent > 0) report.tokens_per_second = static_cast<double>(report.tokens) / spent;
  if (report.peak_tflops > 0) report.utilization = report.total_tflops / report.peak_tflops;
}

namespace {

using Line = std::function<void(const char* name, const std::string& value)>;

void losses_text(const Report& r, const Line& line) {
  const bool tokens = r.tokens > 0;
  line("loss",
       loss_text(r.first_loss) + " -> " + loss_text(r.last_loss) + (tokens ? " nats a token" : ""));
  if (!std::isfinite(r.last_loss))
    line("", "the run diverged: try a lower train.learning_rate, or train.grad_clip");
  if (r.first_validation_loss && r.last_validation_loss) {
    std::string text =
        loss_text(*r.first_validation_loss) + " -> " + loss_text(*r.last_validation_loss);
    if (tokens) text += fmt::format(": perplexity {:.2f}", std::exp(*r.last_validation_loss));
    if (r.bits_per_byte) text += fmt::format(", {:.3f} bits a byte", *r.bits_per_byte);
    line("validation", text);
  }
  if (tokens)
    line("tokens", fmt::format("{:.3f} M; {:.0f} a second over steps and updates",
                               static_cast<double>(r.tokens) / 1e6, r.tokens_per_second));
}

}  // namespace

std::string to_text(const Report& r) {
  const double steps = std::max(1.0, static_cast<double>(r.steps));
  const double rest = r.wall_seconds - r.train_seconds - r.compile_seconds - r.checkpoint_seconds;
  std::string text;
  const Line line = [&](const char* name, const std::string& value) {
    text += fmt::format("  {:<14}{}\n", name, value);
  };
  text += "Report\n";
  std::string steps_text = fmt::format("{} in {}", r.steps, counted(r.updates, "update"));
  if (r.skipped_updates > 0) steps_text += fmt::format(", {} of them discarded", r.skipped_updates);
  if (r.rollbacks > 0) steps_text += ", " + counted(r.rollbacks, "rollback");
  line("steps", steps_text);
  losses_text(r, line);
  line("wall", fmt::format("{:.2f} s{}", r.wall_seconds,
                           r.restarts == 0 ? "" : fmt::format(", {} restarts", r.restarts)));
  line("  train",
       fmt::format("{:.2f} s{}", r.train_seconds, share(r.train_seconds, r.wall_seconds)));
  line("  compile", fmt::format("{:.2f} s{}, {} programs", r.compile_seconds,
                                share(r.compile_seconds, r.wall_seconds), r.compiles));
  line("  checkpoints", fmt::format("{:.2f} s{}", r.checkpoint_seconds,
                                    share(r.checkpoint_seconds, r.wall_seconds)));
  line("  other", fmt::format("{:.2f} s{}", rest, share(rest, r.wall_seconds)));
  line("ms/step",
       fmt::format("median {:.2f}, p90 {:.2f}, mean with updates {:.2f}", r.ms_per_step_median,
                   r.ms_per_step_p90, 1e3 * r.train_seconds / steps));
  line("  of the mean",
       fmt::format("engine {:.2f}, host math {:.2f}, weight gradients {:.2f}, optimizer {:.2f}",
                   r.mean_times.engine, r.mean_times.host_math, r.mean_times.dw,
                   r.mean_times.optimizer));
  line("GFLOP/step",
       fmt::format("{:.3f}: forward {:.3f}, dx {:.3f}, dW {:.3f}, attention backward {:.3f}; "
                   "executed {:.3f}",
                   r.flops.total() / 1e9, r.flops.forward / 1e9, r.flops.dx / 1e9, r.flops.dw / 1e9,
                   r.flops.attention_backward / 1e9, r.executed_flops / 1e9));
  line("TFLOP/s",
       fmt::format("engine {:.3f}, total {:.3f}; {:.1f} % of the {:.3f} measured at start",
                   r.engine_tflops, r.total_tflops, 100 * r.utilization, r.peak_tflops));
  line("parameters", fmt::format("{:.3f} M", static_cast<double>(r.parameters) / 1e6));
  line("memory",
       fmt::format(
           "parameters and optimizer {:.3f} GB, activations {:.3f}, engine {:.3f}; peak {:.3f}",
           gigabytes(r.parameter_bytes), gigabytes(r.surface_bytes), gigabytes(r.engine_bytes),
           gigabytes(r.peak_memory_bytes)));
  line("engine", fmt::format("{}, partition {}, {}, {} threads, {}", r.engine, r.partition,
                             r.precision, r.threads, r.isa));
  line("machine", r.cpu);
  line("build", r.build);
  if (r.sample) {
    line("sample", "after " + counted(r.sample->update, "update"));
    text += text_block(r.sample->prompt + r.sample->text) + "\n";
  }
  return text;
}

std::string to_json(const Report& r) {
  nlohmann::ordered_json json;
  json["steps"] = r.steps;
  json["updates"] = r.updates;
  json["skipped_updates"] = r.skipped_updates;
  json["first_loss"] = json_loss(r.first_loss);
  json["last_loss"] = json_loss(r.last_loss);
  json["first_validation_loss"] = json_loss(r.first_validation_loss);
  json["last_validation_loss"] = json_loss(r.last_validation_loss);
  json["rollbacks"] = r.rollbacks;
  if (r.tokens > 0) {
    json["tokens"] = r.tokens;
    json["tokens_per_second"] = r.tokens_per_second;
    json["perplexity"] =
        r.last_validation_loss ? json_loss(std::exp(*r.last_validation_loss)) : json_loss({});
    json["bits_per_byte"] = json_loss(r.bits_per_byte);
  }
  json["wall_seconds"] = r.wall_seconds;
  json["train_seconds"] = r.train_seconds;
  json["compile_seconds"] = r.compile_seconds;
  json["checkpoint_seconds"] = r.checkpoint_seconds;
  json["compiles"] = r.compiles;
  json["restarts"] = r.restarts;
  json["ms_per_step"] = {
      {"median", r.ms_per_step_median},
      {"p90", r.ms_per_step_p90},
      {"with_updates", 1e3 * r.train_seconds / std::max(1.0, static_cast<double>(r.steps))}};
  json["mean_ms"] = {{"engine", r.mean_times.engine},
                     {"host_math", r.mean_times.host_math},
                     {"dw", r.mean_times.dw},
                     {"optimizer", r.mean_times.optimizer},
                     {"compile", r.mean_times.compile}};
  json["flops_per_step"] = {
      {"forward", r.flops.forward}, {"dx", r.flops.dx},
      {"dw", r.flops.dw},           {"attention_backward", r.flops.attention_backward},
      {"total", r.flops.total()},   {"executed", r.executed_flops}};
  json["engine_tflops"] = r.engine_tflops;
  json["total_tflops"] = r.total_tflops;
  json["peak_tflops"] = r.peak_tflops;
  json["utilization"] = r.utilization;
  json["parameters"] = r.parameters;
  json["bytes"] = {{"parameters", r.parameter_bytes},
                   {"surfaces", r.surface_bytes},
                   {"engine", r.engine_bytes},
                   {"peak", r.peak_memory_bytes}};
  json["engine"] = r.engine;
  json["partition"] = r.partition;
  json["precision"] = r.precision;
  json["threads"] = r.threads;
  json["isa"] = r.isa;
  json["cpu"] = r.cpu;
  json["build"] = r.build;
  json["data"] = r.data;
  if (r.sample)
    json["sample"] = {
        {"update", r.sample->update}, {"prompt", r.sample->prompt}, {"text", r.sample->text}};
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace anemone::train

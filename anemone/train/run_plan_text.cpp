// A plan for people and for programs.
#include <fmt/format.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "anemone/base/counted.h"
#include "anemone/base/duration.h"
#include "anemone/base/megabytes.h"
#include "anemone/train/data_source.h"
#include "anemone/train/run_plan.h"
#include "anemone/train/schedule.h"

namespace anemone::train {
namespace {

using Line = std::function<void(const char* name, const std::string& value)>;

std::string millions(std::int64_t number) {
  return fmt::format("{:.3f} M", static_cast<double>(number) / 1e6);
}

std::string megabytes_text(std::uint64_t bytes) {
  return fmt::format("{:.1f} MB", megabytes(bytes));
}

void model_text(const RunPlan& p, const Line& line) {
  const nn::ModelConfig& m = p.config.model;
  line("model", fmt::format("dim {}, hidden {}, heads {}, seq {}, layers {}{}", m.dim, m.hidden,
                            m.heads, m.seq, m.layers,
                            m.is_language_model() ? fmt::format(", vocab {}", m.vocab) : ""));
  std::string parts;
  for (const PlannedPart& part : p.parts)
    parts +=
        fmt::format("{}{} {}", parts.empty() ? ": " : ", ", part.name, millions(part.parameters));
  line("parameters", millions(p.parameters) + parts);
}

void course_text(const RunPlan& p, const Line& line) {
  const PlannedCourse& c = p.course;
  line("data", p.data);
  line("run", fmt::format("{} in {} of {}: {:.{}f} epochs", counted(c.steps, "step"),
                          counted(c.updates, "update"), c.accumulate, c.epochs(),
                          c.epochs() < 10 ? 2 : 0));
  if (p.config.model.is_language_model()) {
    const std::string note =
        repetition_note(static_cast<std::int64_t>(c.steps), static_cast<std::int64_t>(c.samples));
    if (!note.empty()) line("", note);
  }
  if (c.tokens_per_step > 0)
    line("tokens", fmt::format("{} a step, {} an update, {:.3f} M in the run", c.tokens_per_step,
                               c.tokens_per_step * c.accumulate,
                               static_cast<double>(c.tokens_per_step * c.steps) / 1e6));
  line("rate", describe_schedule(p.config.train));
  line("validation",
       c.validations == 0
           ? "nothing is held out"
           : fmt::format("{}, the first one before the first step; {} each",
                         counted(c.validations, "time"), counted(c.held_out, "sample")));
  if (c.texts > 0)
    line("text", fmt::format("{} of at most {} tokens", counted(c.texts, "sample"),
                             p.config.train.sample_tokens));
}

void work_text(const RunPlan& p, const Line& line) {
  const double usual = p.flops.total(), executed = p.executed_flops;
  const auto accumulate = static_cast<double>(p.course.accumulate),
             steps = static_cast<double>(p.course.steps);
  line("GFLOP",
       fmt::format("a step {:.3f} as usually counted, {:.3f} executed; an update {:.1f}, "
                   "{:.1f}; the run {:.0f}, {:.0f}",
                   usual / 1e9, executed / 1e9, accumulate * usual / 1e9,
                   accumulate * executed / 1e9, steps * usual / 1e9, steps * executed / 1e9));
  line("  of a step", fmt::format("forward {:.3f}, dx {:.3f}, dW {:.3f}, attention backward {:.3f}",
                                  p.flops.forward / 1e9, p.flops.dx / 1e9, p.flops.dw / 1e9,
                                  p.flops.attention_backward / 1e9));
  const PlannedCompiles& c = p.compiles;
  std::string limit = "no limit";
  if (c.limit > 0)
    limit = fmt::format("at most {} a process: {}", c.limit, counted(c.restarts, "restart"));
  line("programs", fmt::format("{} compiled at the start, {} given new weights by an update, {} in "
                               "the run; {}",
                               c.at_start, c.per_update, c.in_all, limit));
  line("engine", fmt::format("{}, partition {}, {}, {} threads, {}", p.engine, p.partition,
                             p.config.engine.precision, p.threads, p.isa));
}

void memory_text(const RunPlan& p, const Line& line) {
  const PlannedMemory& m = p.memory;
  std::string total = megabytes_text(m.total());
  if (m.available > 0) total += fmt::format(" of {} available", megabytes_text(m.available));
  line("memory", total);
  line("  weights", megabytes_text(m.weights) + ", fp32");
  line("  gradients", megabytes_text(m.gradients));
  if (m.step.lanes > 0)
    line("  lanes", megabytes_text(m.step.lanes) + ": gradients of steps side by side");
  line("  Adam", megabytes_text(m.moments));
  line("  packed", megabytes_text(m.step.constants) + ": weights in the engine's form");
  line("  activations", megabytes_text(m.step.surfaces) + ": and what flows back");
  line("  scratch", megabytes_text(m.step.scratch + m.step.host));
  if (m.sampler > 0) line("  sample", megabytes_text(m.sampler) + ": while text is written");
  line("  data", megabytes_text(m.data) +
                     (m.mapped == 0 ? ""
                                    : fmt::format("; and {} of mapped files, given back when "
                                                  "memory is short",
                                                  megabytes_text(m.mapped))));
}

std::string cadence_text(const PlannedCheckpoints& c) {
  std::string text;
  if (c.every_steps > 0)
    text += fmt::format("every {}, ", counted(static_cast<std::uint64_t>(c.every_steps), "step"));
  if (c.every_minutes > 0) text += fmt::format("every {:g} minutes, ", c.every_minutes);
  return text + "at the end";
}

void disk_text(const RunPlan& p, const Line& line) {
  const PlannedCheckpoints& c = p.checkpoints;
  line("checkpoint",
       fmt::format("{} on disk ({} in the middle of an update); {}", megabytes_text(c.bytes),
                   megabytes_text(c.bytes_in_update), cadence_text(c)));
  line("",
       fmt::format("at most {} at once: {}", c.most, megabytes_text(c.most * c.bytes_in_update)));
  line("folder", p.folder);
}

void time_text(const RunPlan& p, const Line& line) {
  const PlannedTimes& t = p.times;
  std::string measured = fmt::format("{:.2f} ms a step (median of {}), {:.2f} an update", t.step,
                                     t.timed_steps, t.update);
  if (t.validation > 0) measured += fmt::format(", {:.1f} a validation", t.validation);
  if (t.text > 0) measured += fmt::format(", {:.1f} a sample of text", t.text);
  line("measured", measured);
  line("time", fmt::format("about {}, without checkpoints; {:.1f} % of the {:.3f} TFLOP/s measured",
                           duration_text(p.seconds), 100 * p.utilization, p.peak_tflops));
}

}  // namespace

std::string to_text(const RunPlan& p) {
  std::string text = "Plan\n";
  const Line line = [&](const char* name, const std::string& value) {
    text += fmt::format("  {:<14}{}\n", name, value);
  };
  model_text(p, line);
  course_text(p, line);
  work_text(p, line);
  memory_text(p, line);
  disk_text(p, line);
  time_text(p, line);
  return text;
}

std::string to_json(const RunPlan& p) {
  nlohmann::ordered_json json, parts;
  for (const PlannedPart& part : p.parts) parts[part.name] = part.parameters;
  json["parameters"] = p.parameters;
  json["parameters_by_part"] = parts;
  json["data"] = p.data;
  json["steps"] = p.course.steps;
  json["updates"] = p.course.updates;
  json["accumulate"] = p.course.accumulate;
  json["samples"] = p.course.samples;
  json["held_out"] = p.course.held_out;
  json["epochs"] = p.course.epochs();
  json["validations"] = p.course.validations;
  json["texts"] = p.course.texts;
  json["tokens_per_step"] = p.course.tokens_per_step;
  json["tokens"] = p.course.tokens_per_step * p.course.steps;
  json["flops_per_step"] = {
      {"forward", p.flops.forward}, {"dx", p.flops.dx},
      {"dw", p.flops.dw},           {"attention_backward", p.flops.attention_backward},
      {"total", p.flops.total()},   {"executed", p.executed_flops}};
  json["compiles"] = {{"at_start", p.compiles.at_start},
                      {"per_update", p.compiles.per_update},
                      {"in_all", p.compiles.in_all},
                      {"limit", p.compiles.limit},
                      {"restarts", p.compiles.restarts}};
  const PlannedMemory& m = p.memory;
  json["bytes"] = {
      {"weights", m.weights},      {"gradients", m.gradients},   {"moments", m.moments},
      {"lanes", m.step.lanes},     {"packed", m.step.constants}, {"surfaces", m.step.surfaces},
      {"scratch", m.step.scratch}, {"host", m.step.host},        {"data", m.data},
      {"total", m.total()},        {"mapped", m.mapped},         {"sampler", m.sampler},
      {"available", m.available}};
  json["checkpoint_bytes"] = {{"one", p.checkpoints.bytes},
                              {"in_update", p.checkpoints.bytes_in_update},
                              {"most_at_once", p.checkpoints.most}};
  json["measured_ms"] = {{"step", p.times.step},
                         {"update", p.times.update},
                         {"validation", p.times.validation},
                         {"text", p.times.text},
                         {"timed_steps", p.times.timed_steps}};
  json["seconds"] = p.seconds;
  json["peak_tflops"] = p.peak_tflops;
  json["utilization"] = p.utilization;
  json["engine"] = p.engine;
  json["partition"] = p.partition;
  json["precision"] = p.config.engine.precision;
  json["threads"] = p.threads;
  json["isa"] = p.isa;
  json["cpu"] = p.cpu;
  json["build"] = p.build;
  json["folder"] = p.folder;
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace anemone::train

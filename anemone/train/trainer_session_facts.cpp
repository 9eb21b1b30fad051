// What a training process tells of itself: what it is about to do, where, and how it went.
#include <fmt/format.h>

#include <filesystem>

#include "anemone/base/counted.h"
#include "anemone/base/cpu_features.h"
#include "anemone/base/system_info.h"
#include "anemone/engine/numerics.h"
#include "anemone/nn/language_model.h"
#include "anemone/train/checkpoint_room.h"
#include "anemone/train/machine.h"
#include "anemone/train/schedule.h"
#include "anemone/train/trainer_session.h"

namespace anemone::train {

// What this process is about to do, before it is silent for a while.
void Session::introduce() const {
  const nn::ModelConfig& m = config.model;
  message(fmt::format(
      "model   dim {}, hidden {}, heads {}, seq {}, layers {}: {:.2f} M parameters, "
      "{:.2f} GFLOP a step",
      m.dim, m.hidden, m.heads, m.seq, m.layers, static_cast<double>(parameters->count()) / 1e6,
      nn::step_flops(m, /*causal=*/false).total() / 1e9));
  message(
      fmt::format("engine  {}, partition {}, {}, {} threads, {}; {} programs compiled in {:.2f} s",
                  engine->name(), partition, config.engine.precision, pool->threads(), best_isa(),
                  team->runner().compiles(), team->compile_milliseconds() / 1e3));
  if (const auto numerics = engine::make_numerics(config.engine.numerics))
    message(fmt::format("numbers {}", engine::describe(*numerics)));
  message(fmt::format("data    {}", data->describe()));
  if (m.is_language_model()) {
    const std::string note = repetition_note(config.train.steps, data->samples());
    if (!note.empty()) message("        " + note);
  }
  std::string update = counted(static_cast<std::uint64_t>(config.train.accumulate), "step");
  if (lanes > 1) update += fmt::format(" in {} lanes, {} at a time", lanes, team->width());
  message(fmt::format("update  {}, learning rate {}", update, describe_schedule(config.train)));
  const std::uint64_t updates = total_updates(config.train);
  if (static_cast<std::uint64_t>(config.train.warmup) > updates)
    message(fmt::format(
        "        train.warmup = {} is longer than the run of {}: the rate only comes to "
        "{:.2g}; a tenth of the run is usual",
        config.train.warmup, counted(updates, "update"), learning_rate(config.train, updates - 1)));
  const StepMemory memory = team->memory();
  message(fmt::format(
      "memory  parameters and optimizer {:.1f} MB, activations {:.1f}, engine {:.1f}",
      static_cast<double>(parameters->bytes() + memory.lanes) / 1e6,
      static_cast<double>(memory.surfaces) / 1e6, static_cast<double>(memory.engine()) / 1e6));
  message(fmt::format("peak    {:.3f} TFLOP/s fp32, {:.3f} bf16", peak.fp32_flops / 1e12,
                      peak.bf16_flops / 1e12));
  message(fmt::format("folder  {}", directory->path().string()));
  warn_of_full_disk();
}

// Of a resumed run only that the next one fits: most of the others are there already.
void Session::warn_of_full_disk() const {
  std::error_code unknown;
  const std::filesystem::space_info disk = std::filesystem::space(directory->path(), unknown);
  if (unknown) return;
  const std::uint64_t more =
      has_checkpoint ? 1 : CheckpointStore::most_at_once(static_cast<int>(config.train.keep));
  const std::string warning =
      room_warning(disk.available, CheckpointStore::bytes_needed(contents(false)), more);
  if (!warning.empty()) message("disk    " + warning);
}

std::map<std::string, std::string> Session::environment() const {
  return {{"engine", std::string(engine->name())},
          {"numerics", config.engine.numerics},
          {"partition", partition},
          {"pack_io", config.engine.pack_io ? "true" : "false"},
          {"isa", best_isa()},
          {"cpu", cpu_model_name()},
          {"threads", std::to_string(pool->threads())},
          {"build", build_text()},
          {"data", data->describe()}};
}

void Session::report_environment_changes(const std::map<std::string, std::string>& before) const {
  for (const auto& [name, now] : environment()) {
    const auto found = before.find(name);
    const std::string was = found == before.end() ? "unknown" : found->second;
    if (was == now) continue;
    const char* effect = ": results may differ in their last bits";
    if (name == "threads") effect = "";  // results do not depend on their number
    if (name == "data") effect = ": the data is another, so the run is no continuation bit for bit";
    message(fmt::format("{} was {}, now {}{}", name, was, now, effect));
  }
}

Report Session::make_report() const {
  Report report;
  summarize_metrics(directory->metrics_path(), report);
  report.steps = state.step;
  report.updates = state.update;
  report.skipped_updates = state.skipped_updates;
  report.wall_seconds = wall_before + seconds_since(started);
  report.train_seconds = state.train_seconds;
  report.compile_seconds = state.compile_seconds;
  report.checkpoint_seconds = state.checkpoint_seconds;
  report.compiles = state.compiles;
  report.rollbacks = state.rollbacks;
  report.tokens = tokens_of(state.step);
  report.restarts = state.restarts;
  report.flops = nn::step_flops(config.model, /*causal=*/false);
  report.executed_flops = team->runner().executed_flops();
  report.peak_tflops = usable_peak_flops(peak, config.engine.precision) / 1e12;
  report.parameters = parameters->count();
  const StepMemory memory = team->memory();
  report.parameter_bytes = parameters->bytes() + memory.lanes;
  report.surface_bytes = memory.surfaces;
  report.engine_bytes = memory.engine();
  report.peak_memory_bytes = peak_memory_bytes();
  report.engine = engine->name();
  report.partition = partition;
  report.precision = config.engine.precision;
  report.isa = best_isa();
  report.build = build_text();
  report.cpu = cpu_model_name();
  report.data = data->describe();
  report.threads = pool->threads();
  compute_rates(report);
  return report;
}

}  // namespace anemone::train

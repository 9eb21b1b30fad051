// What connects a process with those before and after it: starting, resuming, saving, and going
// back to a checkpoint within a run.
#include <fmt/format.h>

#include "anemone/base/clock.h"
#include "anemone/base/counted.h"
#include "anemone/base/file.h"
#include "anemone/train/initial_weights.h"
#include "anemone/train/schedule.h"
#include "anemone/train/trainer_session.h"

namespace anemone::train {
namespace {

Session::Saved saved_of(const TrainerState& state) {
  return {state.step,       state.update,          state.validation_due,
          state.sample_due, state.validation.done, state.data_offset,
          state.best_loss,  state.best_step};
}

void refuse_another_run(const RunConfig& before, const RunConfig& now, const std::string& where) {
  const std::vector<std::string> conflicts = resume_conflicts(before, now);
  if (!conflicts.empty())
    throw Error(fmt::format("this is another run: {}", fmt::join(conflicts, "; ")), where,
                "the same config; a new run goes to another --out");
}

}  // namespace

// The state of a run before its first step.
void Session::initialize() {
  set_initial_weights(*parameters, config, options.init);
  const TrainConfig& train = config.train;
  state.loss_scale.dynamic = train.loss_scale == "dynamic";
  state.loss_scale.scale =
      state.loss_scale.dynamic ? train.initial_loss_scale : std::stod(train.loss_scale);
  state.loss_scale.growth_interval = train.loss_scale_growth_interval;
  state.validation_due = data->held_out() > 0;
  saved = saved_of(state);
}

void Session::start_new() {
  if (options.resume) {
    const std::filesystem::path path = directory->config_path();
    if (std::filesystem::exists(path)) refuse_another_run(load_run_config(path, {}), config, path);
    message("there is no checkpoint yet: starting from the beginning");
  }
  initialize();
  if (!options.init.empty()) message("initial weights from " + options.init.string());
  if (const Status status = write_file_atomically(directory->config_path(), to_toml(config));
      !status.ok())
    throw Error(status.message);
}

void Session::resume(LoadedCheckpoint& loaded) {
  for (const std::string& why : loaded.refused) message("not used: " + why);
  const std::string where = loaded.directory.string();
  state = parse_trainer_state(loaded.state_json, where + "/state.json");
  const RunConfig before = parse_run_config(state.config, where + "/state.json", {});
  refuse_another_run(before, config, where);
  parameters->load(loaded.tensors, /*with_gradient=*/state.accumulated > 0);
  state.loss_scale.dynamic = config.train.loss_scale == "dynamic";
  state.loss_scale.growth_interval = config.train.loss_scale_growth_interval;
  ++state.restarts;
  wall_before = state.wall_seconds;
  saved = saved_of(state);
  has_checkpoint = true;
  repair_marks();
  report_environment_changes(state.environment);
  message(fmt::format("resuming after {} and {}, from {}", counted(state.step, "step"),
                      counted(state.update, "update"), where));
  if (const std::string change = describe_schedule_change(before.train, config.train, state.adam_t);
      !change.empty())
    message(change);
  if (state.step >= static_cast<std::uint64_t>(config.train.steps))
    message(fmt::format("train.steps = {} in all: nothing is left to do", config.train.steps));
}

// A kill between LATEST and a mark, or a damaged checkpoint, leaves another one named.
void Session::repair_marks() {
  Status status = state.best_step > 0 ? checkpoints->set_mark(Mark::best, state.best_step)
                                      : checkpoints->clear_mark(Mark::best);
  if (!status.ok()) message("BEST may name another checkpoint: " + status.message);
  if (is_rollback_point())
    status = checkpoints->set_mark(Mark::good, state.step);
  else if (checkpoints->marked_step(Mark::good).value_or(0) > state.step)
    status = checkpoints->clear_mark(Mark::good);  // of a course that is given up now
  if (!status.ok()) message("GOOD may name another checkpoint: " + status.message);
}

CheckpointContents Session::contents(bool with_gradient) const {
  CheckpointContents contents;
  contents.step = state.step;
  contents.state_json = to_json(state);
  contents.tensors = parameters->tensors(with_gradient);
  if (has_best_here()) contents.marks.push_back(Mark::best);
  if (is_rollback_point()) contents.marks.push_back(Mark::good);
  return contents;
}

Status Session::save() {
  const Clock::time_point start = Clock::now();
  if (Status status = metrics->sync(); !status.ok()) return status;
  state.metrics_offset = metrics->offset();
  state.wall_seconds = wall_before + seconds_since(started);
  if (Status status = team->finish_gradients(); !status.ok()) return status;
  const Status status = checkpoints->save(contents(/*with_gradient=*/state.accumulated > 0));
  state.checkpoint_seconds += seconds_since(start);
  if (status.ok()) {
    saved = saved_of(state);
    has_checkpoint = true;
  } else if (has_best_here()) {
    // Weights that are not kept are no best ones: those before stay that, and their checkpoint.
    state.best_loss = saved.best_loss;
    state.best_step = saved.best_step;
  }
  return status;
}

bool Session::is_saved() const { return saved == saved_of(state); }

bool Session::has_best_here() const { return state.best_step > 0 && state.best_step == state.step; }

// By steps and by validation only, never by time: where a rollback leads must not depend on clocks.
bool Session::is_rollback_point() const {
  const auto every = static_cast<std::uint64_t>(config.train.checkpoint_steps);
  if (every == 0 || state.step == 0) return has_best_here();
  // Where a whole update is done at once, its end stands for all of its steps.
  const auto at_once = static_cast<std::uint64_t>(lanes == 1 ? 1 : config.train.accumulate);
  const std::uint64_t before = (state.step - 1) / at_once * at_once;
  return before / every != state.step / every || has_best_here();
}

std::string Session::describe_saved() const {
  return has_checkpoint ? fmt::format("the checkpoint of step {}", saved.step) : "no checkpoint";
}

Status Session::go_back() {
  std::optional<LoadedCheckpoint> loaded;
  try {
    loaded = checkpoints->load_marked(Mark::good);
    if (!loaded) return Status::failure("there is no checkpoint to go back to yet");
    if (Status status = team->finish_gradients(); !status.ok()) return status;
    TrainerState then =
        parse_trainer_state(loaded->state_json, (loaded->directory / "state.json").string());
    const Saved there = saved_of(then);
    then.data_offset = state.step + state.data_offset - then.step;
    then.rollbacks = state.rollbacks + 1;
    then.rollbacks_in_row = state.rollbacks_in_row + 1;
    // What has been spent is spent.
    then.skipped_updates = state.skipped_updates;
    then.restarts = state.restarts;
    then.compiles = state.compiles;
    then.train_seconds = state.train_seconds;
    then.compile_seconds = state.compile_seconds;
    then.checkpoint_seconds = state.checkpoint_seconds;
    then.config = state.config;
    then.environment = state.environment;
    then.loss_scale.dynamic = state.loss_scale.dynamic;
    then.loss_scale.growth_interval = state.loss_scale.growth_interval;
    parameters->load(loaded->tensors, /*with_gradient=*/then.accumulated > 0);
    team->begin_gradients();
    if (then.accumulated == 0) clear_gradients();
    state = std::move(then);
    saved = there;
  } catch (const Error& error) {
    return Status::failure(error.what());
  }
  // First LATEST, then the log: no checkpoint that a resume would load may lie beyond its end.
  Status status = checkpoints->return_to(state.step);
  if (status.ok()) status = metrics->cut_back(state.metrics_offset);
  if (!status.ok())
    message("the lines of the steps given up stay in the metrics: " + status.message);
  return {};
}

}  // namespace anemone::train

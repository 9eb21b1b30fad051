// The training loop. Setting up is in trainer_setup.cpp; here is what happens at each step and
// update, and when a run must stop.
#include "anemone/train/trainer.h"

#include <fmt/format.h>

#include <cmath>

#include "anemone/base/counted.h"
#include "anemone/base/file.h"
#include "anemone/train/json_number.h"
#include "anemone/train/optimizer.h"
#include "anemone/train/schedule.h"
#include "anemone/train/trainer_session.h"

namespace anemone::train {
namespace {

// Enough halvings for a dynamic loss scale to go from its largest to its smallest value.
constexpr std::uint64_t kMaxDiscardedInRow = 48;
// Compiles tried for one set of weights; the same message twice ends it sooner.
constexpr int kMaxCompileAttempts = 4;

class TrainLoop {
 public:
  explicit TrainLoop(Session& session)
      : s_(session), config_(session.config.train), start_step_(session.state.step) {}

  TrainResult run() {
    if (s_.state.validation_due || (s_.state.step == 0 && s_.data->held_out() > 0)) validate();
    while (!ended_ && s_.state.step < total_steps()) {
      if (must_stop()) break;
      micro_step();
      if (!ended_ && (s_.state.accumulated == accumulate() || s_.state.step >= total_steps()))
        update();  // the last one may have fewer steps
      if (!ended_) checkpoint_if_due();
    }
    // A run resumed with fewer steps than it has done may have half an update left.
    if (!ended_ && s_.state.accumulated > 0) update();
    if (!ended_ && !s_.is_saved()) save_or_fail();
    result_.step = s_.saved.step;
    return result_;
  }

 private:
  std::uint64_t total_steps() const { return static_cast<std::uint64_t>(config_.steps); }
  std::uint64_t accumulate() const { return static_cast<std::uint64_t>(config_.accumulate); }

  void end(Outcome outcome, std::string message) {
    ended_ = true;
    result_.outcome = outcome;
    result_.message = std::move(message);
  }

  bool must_stop();
  void micro_step();
  void note_non_finite();
  void update();
  void take_gradient(UpdateRecord& record);
  void give_new_weights(UpdateRecord& record);
  bool compile_weights(double& milliseconds);
  void validate();
  void checkpoint_if_due();
  bool save_or_fail();
  void report_progress(double loss, double milliseconds);

  Session& s_;
  const TrainConfig& config_;
  std::uint64_t start_step_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point saved_at_ = Clock::now();
  bool ended_ = false;
  TrainResult result_;
};

bool TrainLoop::must_stop() {
  if (const int signal = s_.signal(); signal != 0) {
    if (!s_.is_saved() && !save_or_fail()) return true;
    result_.signal = signal;
    end(Outcome::interrupted,
        fmt::format("stopped by a signal after {}", counted(s_.state.step, "step")));
    return true;
  }
  if (config_.max_minutes <= 0) return false;
  const double spent = s_.options.seconds_spent + seconds_since(s_.started);
  // At least one step a process, so that short limits still get on.
  if (spent < config_.max_minutes * 60 || s_.state.step == start_step_) return false;
  if (!s_.is_saved() && !save_or_fail()) return true;
  end(Outcome::time_is_up, fmt::format("train.max_minutes = {} is up after {}", config_.max_minutes,
                                       counted(s_.state.step, "step")));
  return true;
}

void TrainLoop::micro_step() {
  TrainerState& state = s_.state;
  const Clock::time_point start = Clock::now();
  s_.data->training(static_cast<std::int64_t>(state.step), s_.sample);
  const double reading = 1e3 * seconds_since(start);
  const double scale = state.loss_scale.scale;
  StepResult step = s_.runner->run(s_.sample, scale);
  if (!step.status.ok()) {
    end(Outcome::failed, step.status.message);
    return;
  }
  step.times.host_math += reading;
  step.times.total += reading;
  if (!step.finite && state.non_finite.empty()) note_non_finite();
  s_.metrics->step({state.step, state.update, step.loss, scale, step.times});
  ++state.step;
  ++state.accumulated;
  state.loss_sum += step.loss;
  state.train_seconds += step.times.total / 1e3;
  report_progress(step.loss, step.times.total);
}

void TrainLoop::note_non_finite() {
  TrainerState& state = s_.state;
  state.non_finite = s_.runner->first_non_finite();
  if (state.non_finite.empty()) state.non_finite = "no tensor that is kept";
  s_.message(fmt::format("step {}: a non-finite number, first in {} (loss scale {})", state.step,
                         state.non_finite, state.loss_scale.scale));
}

// Looks at the gradient, lets the loss scale decide, applies Adam.
void TrainLoop::take_gradient(UpdateRecord& record) {
  TrainerState& state = s_.state;
  AccumulatedGradient gradient =
      inspect_gradient(*s_.pool, *s_.parameters, state.accumulated, state.loss_scale.scale);
  if (gradient.kind == LossScale::Gradient::non_finite && state.non_finite.empty()) {
    state.non_finite = s_.runner->first_non_finite();
    if (state.non_finite.empty()) state.non_finite = "the gradient of " + gradient.first_parameter;
  }
  if (!state.non_finite.empty()) gradient.kind = LossScale::Gradient::non_finite;
  record.grad_norm = gradient.norm;
  if (gradient.kind == LossScale::Gradient::non_finite)
    record.skipped = "non-finite: " + state.non_finite;
  else if (gradient.kind == LossScale::Gradient::all_zero)
    record.skipped = "the gradient is all zero";
  if (!state.loss_scale.observe(gradient.kind)) {
    ++state.discarded_in_row;
    ++state.skipped_updates;
    s_.message(fmt::format("update {} discarded ({}); loss scale now {}", state.update,
                           record.skipped, state.loss_scale.scale));
    return;
  }
  state.discarded_in_row = 0;
  ++state.adam_t;
  apply_adam(*s_.pool, *s_.parameters, config_, gradient,
             {state.accumulated, record.loss_scale, record.learning_rate, state.adam_t});
}

void TrainLoop::update() {
  TrainerState& state = s_.state;
  const Clock::time_point start = Clock::now();
  UpdateRecord record;
  record.update = state.update;
  record.step = state.step - 1;
  record.accumulated = state.accumulated;
  record.loss = state.loss_sum / static_cast<double>(state.accumulated);
  record.learning_rate = learning_rate(config_, state.adam_t);
  record.loss_scale = state.loss_scale.scale;
  if (const Status status = s_.runner->finish_gradients(); !status.ok()) {
    end(Outcome::failed, status.message);
    return;
  }
  record.times.dw = 1e3 * seconds_since(start);
  const Clock::time_point optimizing = Clock::now();
  take_gradient(record);
  s_.clear_gradients();
  record.times.optimizer = 1e3 * seconds_since(optimizing);
  state.train_seconds += seconds_since(start);
  state.accumulated = 0;
  state.loss_sum = 0;
  state.non_finite.clear();
  ++state.update;
  const auto every = static_cast<std::uint64_t>(config_.validate_every);
  state.validation_due = s_.data->held_out() > 0 &&
                         (state.step >= total_steps() || (every != 0 && state.update % every == 0));
  if (record.skipped.empty()) give_new_weights(record);
  record.times.total = 1e3 * seconds_since(start);
  s_.metrics->update(record);
  if (result_.outcome == Outcome::out_of_compiles && !save_or_fail()) return;
  if (ended_) return;
  if (state.discarded_in_row >= kMaxDiscardedInRow)
    end(Outcome::failed, fmt::format("{} updates in a row were discarded, the last one because {}",
                                     state.discarded_in_row, record.skipped));
  else if (state.validation_due)
    validate();
}

void TrainLoop::give_new_weights(UpdateRecord& record) {
  const bool needed = s_.state.step < total_steps() || s_.state.validation_due;
  if (!needed) return;
  const int limit = s_.compile_limit;
  if (limit > 0 && s_.runner->compiles() + s_.runner->compiles_per_update() > limit) {
    end(Outcome::out_of_compiles,
        fmt::format("{} of {} compiles of this process are used", s_.runner->compiles(), limit));
    return;
  }
  if (!compile_weights(record.times.compile)) return;
  s_.state.compile_seconds += record.times.compile / 1e3;
}

bool TrainLoop::compile_weights(double& milliseconds) {
  std::string before;
  for (int attempt = 1;; ++attempt) {
    double taken = 0;
    const int compiles = s_.runner->compiles();
    const Status status = s_.runner->update_weights(taken);
    milliseconds += taken;
    s_.state.compiles += static_cast<std::uint64_t>(s_.runner->compiles() - compiles);
    if (status.ok()) return true;
    const bool again = status.message == before;
    if (again || attempt == kMaxCompileAttempts) {
      end(Outcome::failed,
          fmt::format("compiling new weights failed {}: {}",
                      again ? "twice the same way" : "again and again", status.message));
      return false;
    }
    before = status.message;
    s_.message("compiling new weights failed and is tried again: " + status.message);
  }
}

void TrainLoop::validate() {
  const Clock::time_point start = Clock::now();
  double sum = 0;
  for (std::int64_t index = 0; index < s_.data->held_out(); ++index) {
    // What is due stays due: it is done again after the resume.
    if (s_.signal() != 0 && must_stop()) return;
    s_.data->validation(index, s_.sample);
    const StepResult step = s_.runner->run(s_.sample, 1, /*accumulate=*/false);
    if (!step.status.ok()) {
      end(Outcome::failed, step.status.message);
      return;
    }
    sum += step.loss;
  }
  s_.state.validation_due = false;
  const double loss = sum / static_cast<double>(s_.data->held_out());
  s_.metrics->line(
      fmt::format(R"({{"type":"validation","step":{},"update":{},"samples":{},"loss":{},"ms":{}}})",
                  s_.state.step, s_.state.update, s_.data->held_out(), json_number(loss),
                  json_number(1e3 * seconds_since(start))));
  s_.message(
      fmt::format("validation loss {:.8f} after {}", loss, counted(s_.state.update, "update")));
}

void TrainLoop::checkpoint_if_due() {
  const auto every = static_cast<std::uint64_t>(config_.checkpoint_steps);
  const bool by_steps = every != 0 && s_.state.step % every == 0;
  const bool by_time =
      config_.checkpoint_minutes > 0 && seconds_since(saved_at_) >= config_.checkpoint_minutes * 60;
  if ((!by_steps && !by_time) || s_.is_saved()) return;
  saved_at_ = Clock::now();
  const Status status = s_.save();
  if (!status.ok())
    s_.message(fmt::format("the checkpoint of step {} failed: {}; training goes on, {} stands",
                           s_.state.step, status.message, s_.describe_saved()));
}

// Where the run cannot go on without the checkpoint.
bool TrainLoop::save_or_fail() {
  const Status status = s_.save();
  if (status.ok()) return true;
  end(Outcome::failed, fmt::format("the checkpoint of step {} failed: {}; {} stands", s_.state.step,
                                   status.message, s_.describe_saved()));
  return false;
}

void TrainLoop::report_progress(double loss, double milliseconds) {
  if (!s_.options.on_progress) return;
  Progress progress;
  progress.step = s_.state.step;
  progress.steps = total_steps();
  progress.update = s_.state.update;
  progress.loss = loss;
  progress.loss_scale = s_.state.loss_scale.scale;
  progress.ms_per_step = milliseconds;
  const auto done = static_cast<double>(s_.state.step - start_step_);
  const auto left = static_cast<double>(total_steps() - s_.state.step);
  progress.seconds_left = seconds_since(start_) / done * left;
  s_.options.on_progress(progress);
}

}  // namespace

TrainResult train(const TrainerOptions& options) {
  Session session(options);
  TrainResult result;
  try {
    session.open();
  } catch (const StopRequested& stop) {
    result.outcome = Outcome::interrupted;
    result.signal = stop.signal;
    result.message = "stopped by a signal before the first step";
    return result;
  }
  result = TrainLoop(session).run();
  result.report = session.make_report();
  if (result.outcome == Outcome::interrupted && session.state.step == 0)
    session.directory->discard_if_new();
  if (result.outcome == Outcome::finished) {
    const Status status =
        write_file_atomically(session.directory->report_path(), to_json(result.report));
    if (!status.ok()) session.message("report.json could not be written: " + status.message);
  }
  if (result.outcome == Outcome::out_of_compiles) session.directory->keep_for_exec();
  return result;
}

}  // namespace anemone::train

// A run from its first step to its report: steps, checkpoints, and when it must stop.
#include "anemone/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <utility>

#include "anemone/base/clock.h"
#include "anemone/base/counted.h"
#include "anemone/base/file.h"
#include "anemone/train/plot.h"
#include "anemone/train/train_loop.h"

namespace anemone::train {
TrainLoop::TrainLoop(Session& session)
    : s_(session), config_(session.config.train), start_step_(session.state.step) {
  spent_before_ = s_.state.train_seconds + s_.state.compile_seconds;
}

TrainResult TrainLoop::run() {
  follow_up();
  if (!ended_ && s_.state.step > 0) checkpoint_if_due();
  start_ = Clock::now();
  while (!ended_ && s_.state.step < total_steps()) {
    if (must_stop()) break;
    do_steps();
    if (!ended_ && (s_.state.accumulated == accumulate() || s_.state.step >= total_steps()))
      update();  // the last one may have fewer steps
    if (!ended_) checkpoint_if_due();
  }
  // A run resumed with fewer steps than it has done may have half an update left.
  if (!ended_ && s_.state.accumulated > 0) update();
  if (!ended_ && !s_.is_saved()) save_or_fail();
  if (result_.outcome == Outcome::failed && left_ == Left::whole) save_what_is_left();
  result_.has_checkpoint = s_.has_checkpoint;
  result_.step = s_.saved.step;
  result_.steps_lost = s_.state.step - std::min(s_.state.step, s_.saved.step);
  return result_;
}

void TrainLoop::save_what_is_left() {
  if (s_.is_saved()) return;
  if (const Status status = s_.save(); !status.ok())
    result_.message +=
        fmt::format("; and the checkpoint of step {} failed: {}", s_.state.step, status.message);
}

std::string TrainLoop::position() const {
  std::string text = "after " + counted(s_.state.step, "step");
  if (s_.state.validation.done > 0)
    text += fmt::format(", in a validation ({} of {} samples)", s_.state.validation.done,
                        s_.data->held_out());
  return text;
}

bool TrainLoop::must_stop() {
  if (const int signal = s_.signal(); signal != 0) {
    if (!s_.is_saved() && !save_or_fail()) return true;
    result_.signal = signal;
    end(Outcome::interrupted, "stopped by a signal " + position());
    return true;
  }
  if (config_.max_minutes <= 0) return false;
  const double spent = s_.options.seconds_spent + seconds_since(s_.started);
  // Each process gets on at least a little, so that short limits lead to an end, too.
  if (spent < config_.max_minutes * 60 || !got_on_) return false;
  if (!s_.is_saved() && !save_or_fail()) return true;
  end(Outcome::time_is_up,
      fmt::format("train.max_minutes = {} is up {}", config_.max_minutes, position()));
  return true;
}

// One step; or, with lanes, all that are left of an update, unless a signal comes in between: then
// none of them is done.
void TrainLoop::do_steps() {
  const TrainerState& state = s_.state;
  const Clock::time_point start = Clock::now();
  const std::uint64_t count = s_.steps_at_once();
  const auto samples = s_.training_samples(state.step + state.data_offset, count);
  const double reading = 1e3 * seconds_since(start) / static_cast<double>(count);
  for (TeamStep& step :
       s_.team->train(samples, state.loss_scale.scale, [this] { return s_.signal() != 0; })) {
    StepResult& result = step.result;
    if (!result.status.ok()) {
      // A part of its gradient may have been added to those of the steps before; lanes' are apart.
      const bool whole = state.accumulated == 0 || s_.team->lanes() > 1;
      fail(whole ? Left::whole : Left::broken, result.status.message);
      return;
    }
    result.times.host_math += reading;
    result.times.total += reading;
    note_step(step);
  }
}

void TrainLoop::note_step(const TeamStep& step) {
  TrainerState& state = s_.state;
  const StepResult& result = step.result;
  if (!result.finite && state.non_finite.empty()) note_non_finite(step);
  s_.metrics->step({state.step, state.update, result.loss, state.loss_scale.scale, result.times});
  ++state.step;
  ++state.accumulated;
  got_on_ = true;
  state.loss_sum += result.loss;
  state.train_seconds += result.times.total / 1e3;
  report_progress(result.loss, result.times.total);
}

void TrainLoop::checkpoint_if_due() {
  if (std::exchange(rolled_back_, false)) return;  // it saved that state
  const bool rollback_point = s_.is_rollback_point();
  const bool by_time =
      config_.checkpoint_minutes > 0 && seconds_since(saved_at_) >= config_.checkpoint_minutes * 60;
  if ((!rollback_point && !by_time) || s_.is_saved()) return;
  if (rollback_point) s_.state.rollbacks_in_row = 0;
  save_or_go_on();
}

void TrainLoop::save_or_go_on() {
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
  end(Outcome::failed,
      fmt::format("the checkpoint of step {} failed: {}", s_.state.step, status.message));
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
  // A rollback may lead to before this process's first step.
  const std::uint64_t steps = s_.state.step > start_step_ ? s_.state.step - start_step_ : 1;
  const double spent = s_.state.train_seconds + s_.state.compile_seconds - spent_before_;
  if (spent > 0) progress.tokens_per_second = static_cast<double>(s_.tokens_of(steps)) / spent;
  const auto done = static_cast<double>(steps);
  const auto left = static_cast<double>(total_steps() - s_.state.step);
  progress.seconds_left = seconds_since(start_) / done * left;
  s_.options.on_progress(progress);
}

namespace {

// RUN/loss.svg; a picture less is no reason to fail.
void draw_losses(const Session& session) {
  const std::filesystem::path run = session.directory->path();
  try {
    const std::string svg = to_svg(loss_chart(std::span(&run, 1)));
    const Status status = write_file_atomically(run / "loss.svg", svg);
    if (!status.ok()) session.message("loss.svg could not be written: " + status.message);
  } catch (const Error& error) {
    session.message(std::string("loss.svg could not be drawn: ") + error.what());
  }
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
  if (result.outcome == Outcome::interrupted && !session.has_checkpoint)
    session.directory->discard_if_new();
  if (result.outcome == Outcome::finished) {
    const Status status =
        write_file_atomically(session.directory->report_path(), to_json(result.report));
    if (!status.ok()) session.message("report.json could not be written: " + status.message);
    draw_losses(session);
  }
  if (result.outcome == Outcome::out_of_compiles) session.directory->keep_for_exec();
  return result;
}

}  // namespace anemone::train

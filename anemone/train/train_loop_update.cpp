// Updates: the gradient, Adam, and new weights for every program.
#include <fmt/format.h>

#include <cmath>

#include "anemone/base/clock.h"
#include "anemone/train/cadence.h"
#include "anemone/train/optimizer.h"
#include "anemone/train/schedule.h"
#include "anemone/train/train_loop.h"

namespace anemone::train {
namespace {

// Enough halvings for a dynamic loss scale to go from its largest to its smallest value.
constexpr std::uint64_t kMaxDiscardedInRow = 48;
// Compiles tried for one set of weights; the same message twice ends it sooner.
constexpr int kMaxCompileAttempts = 4;

}  // namespace

// Looks at the gradient, lets the loss scale decide, applies Adam.
void TrainLoop::take_gradient(UpdateRecord& record) {
  TrainerState& state = s_.state;
  AccumulatedGradient gradient =
      inspect_gradient(*s_.pool, *s_.parameters, state.accumulated, state.loss_scale.scale);
  if (gradient.kind == LossScale::Gradient::non_finite && state.non_finite.empty()) {
    state.non_finite = s_.team->first_non_finite();
    if (state.non_finite.empty()) state.non_finite = "the gradient of " + gradient.first_parameter;
  }
  if (!state.non_finite.empty()) gradient.kind = LossScale::Gradient::non_finite;
  record.grad_norm = gradient.norm;
  record.non_finite = gradient.kind == LossScale::Gradient::non_finite;
  if (record.non_finite)
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
  record.tokens = s_.tokens_of(state.step);
  if (const Status status = s_.team->finish_gradients(); !status.ok()) {
    fail(Left::broken, status.message);
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
  const bool at_end = state.step >= total_steps();
  state.validation_due =
      s_.data->held_out() > 0 && is_due(config_.validate_every, state.update, at_end);
  state.sample_due = s_.writes_samples() && is_due(s_.sampler->every(), state.update, at_end);
  if (record.skipped.empty()) give_new_weights(record);
  record.times.total = 1e3 * seconds_since(start);
  s_.metrics->update(record);
  if (result_.outcome == Outcome::out_of_compiles && !save_or_fail()) return;
  if (ended_) return;
  if (state.discarded_in_row >= kMaxDiscardedInRow)
    fail(Left::whole, fmt::format("{} updates in a row were discarded, the last one because {}",
                                  state.discarded_in_row, record.skipped));
  else if (record.skipped.empty() || take_discarded(record))
    follow_up();
}

void TrainLoop::give_new_weights(UpdateRecord& record) {
  const bool needed = s_.state.step < total_steps() || s_.state.validation_due;
  if (!needed) return;
  if (!compiles_are_left() || !compile_weights(record.times.compile)) return;
  s_.state.compile_seconds += record.times.compile / 1e3;
}

bool TrainLoop::compiles_are_left() {
  const int limit = s_.compile_limit;
  if (limit == 0 || s_.team->runner().compiles() + s_.team->runner().compiles_per_update() <= limit)
    return true;
  end(Outcome::out_of_compiles, fmt::format("{} of {} compiles of this process are used",
                                            s_.team->runner().compiles(), limit));
  return false;
}

bool TrainLoop::compile_weights(double& milliseconds) {
  std::string before;
  for (int attempt = 1;; ++attempt) {
    double taken = 0;
    const int compiles = s_.team->runner().compiles();
    const Status status = s_.team->update_weights(taken);
    milliseconds += taken;
    s_.state.compiles += static_cast<std::uint64_t>(s_.team->runner().compiles() - compiles);
    if (status.ok()) return true;
    const bool again = status.message == before;
    if (again || attempt == kMaxCompileAttempts) {
      fail(Left::whole,
           fmt::format("compiling new weights failed {}: {}",
                       again ? "twice the same way" : "again and again", status.message));
      return false;
    }
    before = status.message;
    s_.message("compiling new weights failed and is tried again: " + status.message);
  }
}

}  // namespace anemone::train

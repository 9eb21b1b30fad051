// The loop of a training run: steps, updates, what follows an update, and when it must stop. Its
// parts are files of their own: trainer.cpp (steps, checkpoints, stopping), train_loop_update.cpp
// (gradient, weights), train_loop_nonfinite.cpp (what a non-finite number leads to),
// train_loop_validation.cpp (also samples of text).
#pragma once

#include <cstdint>
#include <string>

#include "anemone/base/clock.h"
#include "anemone/train/trainer_session.h"

namespace anemone::train {

class TrainLoop {
 public:
  explicit TrainLoop(Session& session);
  TrainResult run();

 private:
  std::uint64_t total_steps() const { return static_cast<std::uint64_t>(config_.steps); }
  std::uint64_t accumulate() const { return static_cast<std::uint64_t>(config_.accumulate); }

  void end(Outcome outcome, std::string message) {
    ended_ = true;
    result_.outcome = outcome;
    result_.message = std::move(message);
  }
  // What a failure leaves of the present state: weights and counters that belong together, which
  // are saved then; or a gradient that misses a part, so that the last checkpoint is what is left.
  enum class Left : std::uint8_t { whole, broken };
  void fail(Left left, std::string message) {
    end(Outcome::failed, std::move(message));
    left_ = left;
  }
  void save_what_is_left();

  bool must_stop();
  std::string position() const;  // "after 5 steps"
  void do_steps();
  void note_step(const TeamStep& step);
  void report_progress(double loss, double milliseconds);
  void checkpoint_if_due();
  void save_or_go_on();
  bool save_or_fail();

  void update();
  void take_gradient(UpdateRecord& record);
  void give_new_weights(UpdateRecord& record);
  bool compiles_are_left();  // for one set of weights; ends the process if not
  bool compile_weights(double& milliseconds);

  void note_non_finite(const TeamStep& step);
  // After a discarded update: whether it was one that train.on_nonfinite is about, and if so what
  // it says. True if the run goes on as if nothing happened.
  bool take_discarded(const UpdateRecord& record);
  bool loss_scale_may_cure(const UpdateRecord& record) const;
  void roll_back(const UpdateRecord& record);

  void follow_up();  // what an update made due
  void validate();
  bool validate_samples();
  void write_sample();
  void log_validation(double loss, const TextMeasure::Amount& text, double milliseconds);
  void note_best(double loss);

  Session& s_;
  const TrainConfig& config_;
  std::uint64_t start_step_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point saved_at_ = Clock::now();
  double spent_before_ = 0;  // seconds of training, by the processes before
  bool ended_ = false;
  bool rolled_back_ = false;  // by the last update
  bool got_on_ = false;       // a step, or a part of a validation, in this process
  Left left_ = Left::broken;  // by a failure
  TrainResult result_;
};

}  // namespace anemone::train

// What a checkpoint remembers of a run besides tensors: where it stands, as JSON. Everything that
// decides a later number is here; times are too, but decide nothing.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include "anemone/train/loss_scale.h"

namespace anemone::train {

struct TrainerState {
  std::uint64_t step = 0;         // micro-steps done
  std::uint64_t update = 0;       // updates done, discarded ones included
  std::uint64_t adam_t = 0;       // updates applied
  std::uint64_t accumulated = 0;  // micro-steps in the gradient that is being accumulated
  double loss_sum = 0;            // over those
  std::string non_finite;         // the first tensor among those that held a non-finite number
  std::uint64_t skipped_updates = 0, discarded_in_row = 0;
  LossScale loss_scale;
  // What an update made due and is not done yet.
  bool validation_due = false, sample_due = false;
  // Of the validation that is due: what was done before the run was stopped in the middle of it.
  struct Validation {
    std::uint64_t done = 0;  // samples
    double loss_sum = 0;     // over targets
    std::int64_t targets = 0;
    std::uint64_t tokens = 0, bytes = 0;
    double seconds = 0;
  } validation;
  std::uint64_t metrics_offset = 0;
  // The lowest validation loss after an update, and where; step 0 = none yet.
  double best_loss = std::numeric_limits<double>::infinity();
  std::uint64_t best_step = 0;
  // Rollbacks (train.on_nonfinite): step s takes the data of step s + data_offset.
  std::uint64_t data_offset = 0, rollbacks = 0, rollbacks_in_row = 0;

  std::uint64_t restarts = 0, compiles = 0;
  double wall_seconds = 0, train_seconds = 0, compile_seconds = 0, checkpoint_seconds = 0;

  std::string config;  // TOML
  std::map<std::string, std::string>
      environment;  // engine, ISA, threads, build …: what "the same machine" means
};

std::string to_json(const TrainerState& state);
// Throws Error when the text is no state of this version; `where` names the file.
TrainerState parse_trainer_state(const std::string& json, const std::string& where);

}  // namespace anemone::train

// What a number that is not finite leads to: a discarded update, and what train.on_nonfinite says
// where a smaller loss scale would not help.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "anemone/base/counted.h"
#include "anemone/train/train_loop.h"

namespace anemone::train {

void TrainLoop::note_non_finite(const TeamStep& step) {
  TrainerState& state = s_.state;
  state.non_finite = s_.team->first_non_finite(step);
  if (state.non_finite.empty()) state.non_finite = "no tensor that is kept";
  const bool by_scale = state.loss_scale.dynamic && std::isfinite(step.result.loss);
  s_.message(fmt::format("step {}: a non-finite number, first in {} (loss scale {}{})", state.step,
                         state.non_finite, state.loss_scale.scale,
                         by_scale ? ", which is now and then too large" : ""));
}

// A dynamic scale is meant to overflow now and then; a loss does not depend on it, and at a scale
// of 1 there is nothing left to blame on it.
bool TrainLoop::loss_scale_may_cure(const UpdateRecord& record) const {
  return s_.state.loss_scale.dynamic && record.loss_scale > 1 && std::isfinite(record.loss);
}

bool TrainLoop::take_discarded(const UpdateRecord& record) {
  if (!record.non_finite || config_.on_nonfinite == "skip" || loss_scale_may_cure(record))
    return true;
  if (config_.on_nonfinite == "rollback")
    roll_back(record);
  else
    fail(Left::whole, fmt::format("update {}: {}; train.on_nonfinite = \"stop\"", record.update,
                                  record.skipped));
  return false;
}

void TrainLoop::roll_back(const UpdateRecord& record) {
  const std::string why = fmt::format("update {}: {}", record.update, record.skipped);
  const std::uint64_t from = s_.state.step;
  const auto most = static_cast<std::uint64_t>(config_.max_rollbacks);
  if (s_.state.rollbacks_in_row >= most) {
    fail(Left::whole,
         fmt::format("{}; {} in a row to the same checkpoint are the most (train.max_rollbacks)",
                     why, counted(most, "rollback")));
    return;
  }
  if (!s_.checkpoints->marked_step(Mark::good)) {
    fail(Left::whole, why + "; there is no checkpoint to go back to yet");
    return;
  }
  if (const Status status = s_.go_back(); !status.ok()) {
    fail(Left::broken, fmt::format("{}; {}", why, status.message));
    return;
  }
  rolled_back_ = true;
  nlohmann::ordered_json line;
  line["type"] = "rollback";
  line["step"] = s_.state.step;
  line["update"] = s_.state.update;
  line["from_step"] = from;
  line["reason"] = why;
  line["data_offset"] = s_.state.data_offset;
  line["in_row"] = s_.state.rollbacks_in_row;
  s_.metrics->line(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  s_.message(
      fmt::format("{}: back to the checkpoint of step {}; the data goes on behind step {} "
                  "(rollback {} of {} in a row)",
                  why, s_.state.step, from, s_.state.rollbacks_in_row, most));
  // So that a kill from here on loses neither the rollback nor its line in the log.
  save_or_go_on();
  if (!compiles_are_left()) {
    if (!s_.is_saved()) save_or_fail();
    return;
  }
  double milliseconds = 0;
  if (compile_weights(milliseconds)) s_.state.compile_seconds += milliseconds / 1e3;
}

}  // namespace anemone::train

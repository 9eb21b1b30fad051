// What an update makes due: validation, and whether its loss is the best so far.
#include <fmt/format.h>

#include <cmath>

#include "anemone/base/counted.h"
#include "anemone/train/json_number.h"
#include "anemone/train/mean_loss.h"
#include "anemone/train/report.h"
#include "anemone/train/train_loop.h"

namespace anemone::train {

void TrainLoop::follow_up() {
  if (!ended_ && s_.state.validation_due) validate();
}

void TrainLoop::validate() {
  const Clock::time_point start = Clock::now();
  MeanLoss loss_sum;
  TextMeasure::Amount text;
  for (std::int64_t index = 0; index < s_.data->held_out(); ++index) {
    // What is due stays due: it is done again after the resume.
    if (s_.signal() != 0 && must_stop()) return;
    s_.data->validation(index, s_.sample);
    const StepResult step = s_.runner->run(s_.sample, 1, /*accumulate=*/false);
    if (!step.status.ok()) {
      end(Outcome::failed, step.status.message);
      return;
    }
    loss_sum.add(step);
    if (!s_.text_measure) continue;
    const TextMeasure::Amount amount = s_.text_measure->of(s_.sample);
    text.tokens += amount.tokens;
    text.bytes += amount.bytes;
  }
  s_.state.validation_due = false;
  const double loss = loss_sum.mean();
  log_validation(loss, text, 1e3 * seconds_since(start));
  note_best(loss);
}

void TrainLoop::log_validation(double loss, const TextMeasure::Amount& text, double milliseconds) {
  std::string of_text, said;
  if (text.tokens > 0) {
    of_text =
        fmt::format(R"("tokens":{},"perplexity":{},)", text.tokens, json_number(std::exp(loss)));
    said = fmt::format(", perplexity {:.2f}", std::exp(loss));
  }
  if (text.bytes > 0) {
    const double bits = bits_per_byte(loss, text);
    of_text += fmt::format(R"("bytes":{},"bits_per_byte":{},)", text.bytes, json_number(bits));
    said += fmt::format(", {:.3f} bits a byte", bits);
  }
  s_.metrics->line(fmt::format(
      R"({{"type":"validation","step":{},"update":{},"samples":{},"loss":{},{}"ms":{}}})",
      s_.state.step, s_.state.update, s_.data->held_out(), json_number(loss), of_text,
      json_number(milliseconds)));
  s_.message(fmt::format("validation loss {}{} after {}", loss_text(loss), said,
                         counted(s_.state.update, "update")));
}

// Of trained weights: those a run begins with are no result.
void TrainLoop::note_best(double loss) {
  TrainerState& state = s_.state;
  if (state.update == 0 || !(loss < state.best_loss)) return;
  state.best_loss = loss;
  state.best_step = state.step;
}

}  // namespace anemone::train

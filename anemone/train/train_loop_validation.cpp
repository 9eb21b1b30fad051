// What an update makes due: validation, whether its loss is the best so far, and a sample of text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "anemone/base/clock.h"
#include "anemone/base/counted.h"
#include "anemone/train/json_number.h"
#include "anemone/train/mean_loss.h"
#include "anemone/train/report.h"
#include "anemone/train/train_loop.h"

namespace anemone::train {

void TrainLoop::follow_up() {
  if (!ended_ && s_.state.validation_due) validate();
  if (!ended_ && s_.state.sample_due) write_sample();
}

// As many held-out samples as run at a time; false if the run ended there. What is due stays due: a
// resume goes on with the sample behind.
bool TrainLoop::validate_samples() {
  if (must_stop()) return false;
  TrainerState::Validation& v = s_.state.validation;
  const auto held_out = static_cast<std::uint64_t>(s_.data->held_out());
  const auto at_a_time = static_cast<std::uint64_t>(s_.team->width());
  const Clock::time_point start = Clock::now();
  const auto samples = s_.validation_samples(v.done, std::min(held_out - v.done, at_a_time));
  const std::span<const TeamStep> steps = s_.team->evaluate(samples);
  MeanLoss loss(v.loss_sum, v.targets);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const StepResult& step = steps[i].result;
    if (!step.status.ok()) {
      fail(Left::whole, step.status.message);
      return false;
    }
    loss.add(step);
    if (!s_.text_measure) continue;
    const TextMeasure::Amount amount = s_.text_measure->of(samples[i]);
    v.tokens += amount.tokens;
    v.bytes += amount.bytes;
  }
  v.loss_sum = loss.sum();
  v.targets = loss.targets();
  v.done += samples.size();
  v.seconds += seconds_since(start);
  got_on_ = true;
  if (s_.options.on_validation) s_.options.on_validation(v.done, held_out);
  return true;
}

void TrainLoop::validate() {
  while (s_.state.validation.done < static_cast<std::uint64_t>(s_.data->held_out()))
    if (!validate_samples()) return;
  const TrainerState::Validation done = std::exchange(s_.state.validation, {});
  s_.state.validation_due = false;
  const double loss = MeanLoss(done.loss_sum, done.targets).mean();
  log_validation(loss, {done.tokens, done.bytes}, 1e3 * done.seconds);
  note_best(loss);
}

void TrainLoop::write_sample() {
  const Clock::time_point start = Clock::now();
  nlohmann::ordered_json line;
  line["type"] = "sample";
  line["step"] = s_.state.step;
  line["update"] = s_.state.update;
  line["prompt"] = s_.sampler->prompt();
  try {
    const model::Generation written =
        s_.sampler
            ->write(s_.parameters->weights(), *s_.host_engine, [this] { s_.throw_if_stopped(); })
            .generation;
    line["text"] = written.text;
    line["tokens"] = written.ids.size();
    const bool reported = s_.state.step >= total_steps();  // at the end the report shows it
    if (!reported)
      s_.message(fmt::format("sample after {}:\n{}", counted(s_.state.update, "update"),
                             text_block(s_.sampler->prompt() + written.text)));
  } catch (const StopRequested&) {
    must_stop();
    return;
  } catch (const Error& error) {
    s_.message(
        fmt::format("no sample after {}: {}", counted(s_.state.update, "update"), error.what()));
    line["problem"] = error.what();
  }
  s_.state.sample_due = false;
  line["ms"] = 1e3 * seconds_since(start);
  s_.metrics->line(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
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

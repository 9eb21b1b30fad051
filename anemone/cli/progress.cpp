// Drawing the progress of a run.
#include "anemone/cli/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "anemone/base/duration.h"
#include "anemone/cli/status_line.h"

namespace anemone::cli {
namespace {

constexpr std::chrono::milliseconds kProgressRedraw{100};  // on a terminal
constexpr std::chrono::seconds kPlainInterval{5};          // elsewhere

}  // namespace

ProgressDisplay::ProgressDisplay() : terminal_(isatty(STDOUT_FILENO) == 1), next_(Clock::now()) {}

void ProgressDisplay::update(const train::Progress& p) {
  const std::string tokens =
      p.tokens_per_second > 0 ? fmt::format(" | {:.0f} tokens/s", p.tokens_per_second) : "";
  line_ = fmt::format("step {}/{} | update {} | loss {} | scale {:g} | {:.2f} ms/step{} | ETA {}",
                      p.step, p.steps, p.update, train::loss_text(p.loss), p.loss_scale,
                      p.ms_per_step, tokens, duration_text(p.seconds_left));
  shown_ = false;
  if (Clock::now() < next_ && p.step != p.steps) return;
  draw();
}

void ProgressDisplay::validation(std::uint64_t done, std::uint64_t of) {
  const Clock::time_point now = Clock::now();
  if (done <= 1) validating_since_ = now;
  if (now - validating_since_ < kPlainInterval / 5 || now < next_) return;
  const bool shown = shown_;
  const std::string steps = std::exchange(line_, fmt::format("validation {}/{}", done, of));
  draw();
  line_ = steps;
  shown_ = shown;
}

void ProgressDisplay::draw() {
  if (terminal_)
    fmt::print("{}{}", kClearLine, line_);
  else
    fmt::print("{}\n", line_);
  std::fflush(stdout);
  drawn_ = terminal_;
  shown_ = true;
  next_ = Clock::now() +
          (terminal_ ? Clock::duration(kProgressRedraw) : Clock::duration(kPlainInterval));
}

void ProgressDisplay::message(const std::string& text) {
  fmt::print("{}{}\n", drawn_ ? kClearLine : "", text);
  std::fflush(stdout);
  drawn_ = false;
}

void ProgressDisplay::finish() {
  if (!shown_) draw();
  if (drawn_) fmt::print("\n");
  std::fflush(stdout);
  drawn_ = false;
}

}  // namespace anemone::cli

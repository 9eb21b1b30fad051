// See status_line.h.
#include "anemone/cli/status_line.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

#include "anemone/base/duration.h"

namespace anemone::cli {
namespace {

constexpr std::chrono::milliseconds kStatusRedraw{200};
constexpr std::chrono::seconds kQuiet{1};
constexpr std::chrono::seconds kLine{15};  // where there is no terminal

}  // namespace

StatusLine::StatusLine()
    : terminal_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      next_(start_ + (terminal_ ? kQuiet : kLine)) {}

void StatusLine::draw(double share, const std::string& what) {
  const std::string text = fmt::format("{:.0f} % | {} | ETA {}", 100 * share, what,
                                       duration_text(seconds() / share - seconds()));
  if (!terminal_) {
    fmt::print(stderr, "{}\n", text);
    next_ = Clock::now() + kLine;
    return;
  }
  fmt::print(stderr, "{}{}", kClearLine, text);
  drawn_ = true;
  next_ = Clock::now() + kStatusRedraw;
}

void StatusLine::clear() {
  if (drawn_) fmt::print(stderr, "{}", kClearLine);
  drawn_ = false;
}

double StatusLine::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

}  // namespace anemone::cli

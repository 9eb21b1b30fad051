// What a command that takes long says meanwhile: one line on standard error, drawn over and over,
// where that is a terminal; nothing elsewhere, and nothing in the first second.
#pragma once

#include <chrono>
#include <string>

namespace anemone::cli {

inline constexpr const char* kClearLine = "\r\033[K";  // of a terminal: the line is drawn anew

class StatusLine {
 public:
  StatusLine();
  ~StatusLine() { clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  // Is it time to draw it again?
  bool is_due() const { return Clock::now() >= next_; }
  // "37 % | WHAT | ETA 12 s", for 0 < share <= 1. Where there is no terminal, a line of its own now
  // and then.
  void draw(double share, const std::string& what);
  // Leaves the line empty for what is printed next.
  void clear();
  double seconds() const;  // since the beginning

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_, drawn_ = false;
  Clock::time_point start_, next_;
};

}  // namespace anemone::cli

// What a long run shows: one line that is drawn over and over on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "anemone/train/trainer.h"

namespace anemone::cli {

class ProgressDisplay {
 public:
  ProgressDisplay();
  void update(const train::Progress& progress);
  void validation(std::uint64_t done, std::uint64_t of);  // where it takes a while
  void message(const std::string& text);                  // a line of its own, or several
  void finish();                                          // leaves the last state standing

 private:
  using Clock = std::chrono::steady_clock;
  void draw();
  bool terminal_;
  std::string line_;
  bool drawn_ = false;  // line_ is on the terminal, without a line end
  bool shown_ = true;   // line_ has been shown
  Clock::time_point next_;
  Clock::time_point validating_since_;
};

}  // namespace anemone::cli

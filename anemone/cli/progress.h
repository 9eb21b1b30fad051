// What a long run shows: one line that is drawn over and over on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "anemone/train/trainer.h"

namespace anemone::cli {

class ProgressDisplay {
 public:
  ProgressDisplay();
  void update(const train::Progress& progress);
  void message(const std::string& text);  // a line of its own
  void finish();                          // leaves the last state standing

 private:
  using Clock = std::chrono::steady_clock;
  void draw();
  bool terminal_;
  std::string line_;
  bool drawn_ = false;  // line_ is on the terminal, without a line end
  bool shown_ = true;   // line_ has been shown
  Clock::time_point next_;
};

}  // namespace anemone::cli

// The loss over several samples.
#pragma once

#include <cstdint>

#include "anemone/train/step_runner.h"

namespace anemone::train {

// A mean over samples that differ in how many targets they have.
class MeanLoss {
 public:
  MeanLoss() = default;
  MeanLoss(double sum, std::int64_t targets) : sum_(sum), targets_(targets) {}  // to go on with

  void add(const StepResult& step) {
    sum_ += step.loss * static_cast<double>(step.targets);
    targets_ += step.targets;
  }
  double mean() const { return targets_ == 0 ? 0 : sum_ / static_cast<double>(targets_); }
  double sum() const { return sum_; }
  std::int64_t targets() const { return targets_; }

 private:
  double sum_ = 0;
  std::int64_t targets_ = 0;
};

}  // namespace anemone::train

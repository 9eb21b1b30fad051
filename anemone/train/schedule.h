// The learning rate of each update: a pure function of the config and of the number of updates that
// were applied before it, so a resumed run has the same one.
//
// With u updates applied, T = updates of the whole run, W = train.warmup, and m =
// train.min_learning_rate_fraction:
//
//   u < W       train.learning_rate * (u + 1) / W
//   otherwise   train.learning_rate * shape(p),  p = (u - W) / (T - W), at most 1
//
//   constant    shape(p) = 1
//   linear      shape(p) = 1 - (1 - m) p
//   cosine      shape(p) = m + (1 - m) (1 + cos(pi p)) / 2
//
// T follows from train.steps and train.accumulate. A discarded update does not count: the next one
// has its rate.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/train/run_config.h"

namespace anemone::train {

std::vector<std::string_view> schedule_names();

// Updates of the whole run; the last may have fewer steps than the others.
std::uint64_t total_updates(const TrainConfig& config);

double learning_rate(const TrainConfig& config, std::uint64_t applied);

// "0.003, warm-up 50 updates, cosine to 5 % at update 917".
std::string describe_schedule(const TrainConfig& config);

// What another number of steps or another schedule does to a run that goes on after `applied`
// updates, as a sentence; empty if nothing.
std::string describe_schedule_change(const TrainConfig& before, const TrainConfig& now,
                                     std::uint64_t applied);

}  // namespace anemone::train

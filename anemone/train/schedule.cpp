// The shapes of the learning rate.
#include "anemone/train/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "anemone/base/counted.h"
#include "anemone/base/error.h"

namespace anemone::train {
namespace {

struct ScheduleRow {
  std::string_view name;
  double (*shape)(double progress, double least);
};

constexpr ScheduleRow kSchedules[] = {
    {"constant", [](double, double) { return 1.0; }},
    {"linear", [](double progress, double least) { return 1 - (1 - least) * progress; }},
    {"cosine",
     [](double progress, double least) {
       return least + (1 - least) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
     }},
};

const ScheduleRow& row_of(const TrainConfig& config) {
  for (const ScheduleRow& row : kSchedules)
    if (row.name == config.schedule) return row;
  throw Error(fmt::format("train.schedule = \"{}\" is unknown", config.schedule), "",
              fmt::format("{}", fmt::join(schedule_names(), ", ")));
}

}  // namespace

std::vector<std::string_view> schedule_names() {
  std::vector<std::string_view> names;
  for (const ScheduleRow& row : kSchedules) names.push_back(row.name);
  return names;
}

std::uint64_t total_updates(const TrainConfig& config) {
  const auto steps = static_cast<std::uint64_t>(config.steps),
             accumulate = static_cast<std::uint64_t>(config.accumulate);
  return (steps + accumulate - 1) / accumulate;
}

double learning_rate(const TrainConfig& config, std::uint64_t applied) {
  const auto warmup = static_cast<std::uint64_t>(config.warmup);
  if (applied < warmup)
    return config.learning_rate * static_cast<double>(applied + 1) / static_cast<double>(warmup);
  const std::uint64_t total = total_updates(config);
  const double span = total > warmup ? static_cast<double>(total - warmup) : 1;
  const double progress = std::min(1.0, static_cast<double>(applied - warmup) / span);
  return config.learning_rate * row_of(config).shape(progress, config.min_learning_rate_fraction);
}

std::string describe_schedule(const TrainConfig& config) {
  std::string text = fmt::format("{}", config.learning_rate);
  if (config.warmup > 0)
    text += ", warm-up " + counted(static_cast<std::uint64_t>(config.warmup), "update");
  if (config.schedule == "constant") return text;
  return text + fmt::format(", {} to {:g} % at update {}", config.schedule,
                            100 * config.min_learning_rate_fraction, total_updates(config));
}

std::string describe_schedule_change(const TrainConfig& before, const TrainConfig& now,
                                     std::uint64_t applied) {
  const std::string was = describe_schedule(before), is = describe_schedule(now);
  const double old_rate = learning_rate(before, applied), new_rate = learning_rate(now, applied);
  if (was == is && old_rate == new_rate) return {};
  const std::string old_text = fmt::format("{:.4g}", old_rate),
                    text = fmt::format("{:.4g}", new_rate);
  return fmt::format("the learning rate was {}; it is now {}", was, is) +
         (old_text == text ? ""
                           : fmt::format(": the next update has {} instead of {}", text, old_text));
}

}  // namespace anemone::train

// Lanes, the runners that take them, and the sum of their gradients.
#include "anemone/train/step_team.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "anemone/base/clock.h"
#include "anemone/compute/optimizer.h"
#include "anemone/train/trainer.h"

namespace anemone::train {
namespace {

// Where train.lanes leaves it open.
constexpr std::int64_t kMostLanes = 8;
constexpr std::size_t kLaneBytes = std::size_t{128} << 20;  // of all lanes' gradients

// Of the steps of an update, those of a lane: [begin, end).
std::size_t lane_begin(std::size_t steps, int lane, int lanes) {
  return steps * static_cast<std::size_t>(lane) / static_cast<std::size_t>(lanes);
}

// Each step's share of the time that they took together.
void share_time(std::span<TeamStep> steps, double milliseconds) {
  double sum = 0;
  for (const TeamStep& step : steps) sum += step.result.times.total;
  const double share = sum > 0 ? milliseconds / sum : 0;
  for (TeamStep& step : steps) {
    StepTimes& times = step.result.times;
    for (double* time : {&times.engine, &times.host_math, &times.dw, &times.total}) *time *= share;
  }
}

}  // namespace

int lanes_of(const RunConfig& config, std::size_t gradient_bytes) {
  std::int64_t lanes = config.train.lanes;
  if (lanes == 0 && config.model.is_language_model()) {
    const std::size_t fit = kLaneBytes / std::max<std::size_t>(1, gradient_bytes);
    lanes = std::min(static_cast<std::int64_t>(fit), kMostLanes);
  }
  return static_cast<int>(std::clamp<std::int64_t>(lanes, 1, config.train.accumulate));
}

StepTeam::StepTeam(const nn::StepGraph& graph, engine::Engine& engine, engine::Engine& host_engine,
                   ParameterList& parameters, compute::ThreadPool& pool,
                   const RunnerOptions& options, int lanes, const MakeEngine& make_engine)
    : pool_(pool), lanes_(lanes), gradients_(parameters.gradients()) {
  if (lanes > 1)
    lane_gradients_ = AlignedBuffer(static_cast<std::size_t>(lanes) * gradients_.size_bytes());
  const bool several = make_engine && engine.traits().runs_on_host;
  const int width = several ? std::min(lanes, pool.threads()) : 1;
  if (width == 1) {
    runners_.push_back(
        std::make_unique<StepRunner>(graph, engine, host_engine, parameters, options, pool));
    return;
  }
  workers_ = std::make_unique<compute::ThreadPool>(width);
  for (int i = 0; i < width; ++i) {
    const int threads = pool.threads() / width;
    engines_.push_back(make_engine(threads));
    engine::Engine& own = *engines_.back();
    threads_.push_back(threads_beside(own, threads));
    runners_.push_back(
        std::make_unique<StepRunner>(graph, own, own, parameters, options, *threads_.back()));
  }
}

std::span<float> StepTeam::gradient_of(int lane) {
  const std::size_t size = gradients_.size();
  return lane_gradients_.as<float>().subspan(static_cast<std::size_t>(lane) * size, size);
}

void StepTeam::for_each(int tasks, const std::function<void(int task, StepRunner& runner)>& body) {
  if (workers_) {
    workers_->run(tasks, [&](int task, int worker) {
      body(task, *runners_[static_cast<std::size_t>(worker)]);
    });
    return;
  }
  for (int task = 0; task < tasks; ++task) body(task, *runners_.front());
}

std::span<TeamStep> StepTeam::train(std::span<const Sample> samples, double loss_scale,
                                    const std::function<bool()>& stopped) {
  const Clock::time_point start = Clock::now();
  steps_.assign(samples.size(), {});
  if (lanes_ == 1) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      steps_[i].result = runners_.front()->run(samples[i], loss_scale);
      if (!steps_[i].result.status.ok()) return std::span(steps_).first(i + 1);
    }
    return steps_;
  }
  over_ = false;
  const std::thread::id caller = std::this_thread::get_id();
  const std::function<bool()> nobody;
  for_each(lanes_, [&](int lane, StepRunner& runner) {
    const bool asks = std::this_thread::get_id() == caller;
    run_lane(lane, runner, samples, loss_scale, asks ? stopped : nobody);
  });
  if (over_) return first_failure();
  add_lanes(samples.size());
  share_time(steps_, milliseconds_since(start));
  return steps_;
}

bool StepTeam::is_over(const std::function<bool()>& stopped) {
  if (stopped && stopped()) over_ = true;
  return over_;
}

void StepTeam::run_lane(int lane, StepRunner& runner, std::span<const Sample> samples,
                        double loss_scale, const std::function<bool()>& stopped) {
  const std::size_t begin = lane_begin(samples.size(), lane, lanes_);
  const std::size_t end = lane_begin(samples.size(), lane + 1, lanes_);
  if (begin == end) return;
  const std::span<float> gradient = gradient_of(lane);
  std::fill(gradient.begin(), gradient.end(), 0.0F);
  runner.add_gradients_to(gradient);
  runner.begin_gradients();
  bool finite = true;
  for (std::size_t i = begin; i < end && !is_over(stopped); ++i) {
    StepResult& result = steps_[i].result;
    result = runner.run(samples[i], loss_scale);
    if (result.status.ok() && i + 1 == end) result.status = runner.finish_gradients();
    if (!result.status.ok()) over_ = true;
    if (finite && !result.finite) steps_[i].non_finite = runner.first_non_finite();
    finite = finite && result.finite;
  }
}

std::span<TeamStep> StepTeam::first_failure() {
  const auto failed = std::find_if(steps_.begin(), steps_.end(),
                                   [](const TeamStep& step) { return !step.result.status.ok(); });
  if (failed == steps_.end()) return {};
  std::swap(*failed, steps_.front());
  return std::span(steps_).first(1);
}

void StepTeam::add_lanes(std::size_t samples) {
  parts_.clear();
  for (int lane = 0; lane < lanes_; ++lane)
    if (lane_begin(samples, lane, lanes_) != lane_begin(samples, lane + 1, lanes_))
      parts_.push_back(gradient_of(lane));
  compute::add_in_order(pool_, gradients_, parts_);
}

std::span<TeamStep> StepTeam::evaluate(std::span<const Sample> samples) {
  const Clock::time_point start = Clock::now();
  steps_.assign(samples.size(), {});
  for_each(static_cast<int>(samples.size()), [&](int task, StepRunner& runner) {
    const auto i = static_cast<std::size_t>(task);
    steps_[i].result = runner.run(samples[i], 1, /*accumulate=*/false);
  });
  share_time(steps_, milliseconds_since(start));
  return steps_;
}

void StepTeam::begin_gradients() {
  for (const auto& runner : runners_) runner->begin_gradients();
}

std::string StepTeam::first_non_finite(const TeamStep& step) {
  return lanes_ == 1 ? first_non_finite() : step.non_finite;
}

Status StepTeam::update_weights(double& milliseconds) {
  const Clock::time_point start = Clock::now();
  std::vector<Status> statuses(runners_.size());
  const auto update = [&](std::size_t i) {
    double taken = 0;
    statuses[i] = runners_[i]->update_weights(taken);
  };
  if (workers_)
    workers_->run(width(), [&](int task, int) { update(static_cast<std::size_t>(task)); });
  else
    update(0);
  milliseconds = milliseconds_since(start);
  for (Status& status : statuses)
    if (!status.ok()) return std::move(status);
  return {};
}

double StepTeam::compile_milliseconds() const {
  double sum = 0;
  for (const auto& runner : runners_) sum += runner->compile_milliseconds();
  return sum;
}

StepMemory StepTeam::memory() const {
  StepMemory sum;
  for (const auto& runner : runners_) {
    const StepMemory memory = runner->memory();
    sum.constants += memory.constants;
    sum.one_form += memory.one_form;
    sum.scratch += memory.scratch;
    sum.surfaces += memory.surfaces;
    sum.host += memory.host;
  }
  sum.lanes = lane_gradients_.size();
  return sum;
}

}  // namespace anemone::train

// Sets a run up, asks everything in it what it is, and times a few of its steps.
#include "anemone/train/run_plan.h"

#include <algorithm>

#include "anemone/base/clock.h"
#include "anemone/base/cpu_features.h"
#include "anemone/base/quantile.h"
#include "anemone/base/system_info.h"
#include "anemone/nn/language_model.h"
#include "anemone/train/cadence.h"
#include "anemone/train/machine.h"
#include "anemone/train/optimizer.h"
#include "anemone/train/schedule.h"
#include "anemone/train/trainer_session.h"

namespace anemone::train {
namespace {

// A burst of steps: enough of them for a median, unless that takes too long.
constexpr std::size_t kMostTimedSteps = 20;
constexpr double kBurstSeconds = 1.5;

class Planner {
 public:
  explicit Planner(const TrainerOptions& options) : options_(options), session_(options_) {
    options_.pending_signal = nullptr;
    plan_.memory.available = memory_info().available_bytes;
    session_.open_for_plan();
  }

  RunPlan make() {
    describe();
    count_parameters();
    count_course();
    count_compiles();
    weigh();
    weigh_checkpoints();
    count_flops();
    measure();
    estimate();
    return std::move(plan_);
  }

 private:
  void describe() {
    plan_.config = session_.config;
    plan_.folder = session_.options.out.string();
    plan_.data = session_.data->describe();
    plan_.engine = session_.engine->name();
    plan_.partition = session_.partition;
    plan_.isa = best_isa();
    plan_.cpu = cpu_model_name();
    plan_.build = build_text();
    plan_.threads = session_.pool->threads();
  }

  void count_parameters() {
    plan_.parameters = session_.parameters->count();
    for (const Parameter& parameter : session_.parameters->all()) {
      const std::string name(nn::parameter_part(parameter.spec));
      auto part = std::find_if(plan_.parts.begin(), plan_.parts.end(),
                               [&](const PlannedPart& known) { return known.name == name; });
      if (part == plan_.parts.end()) part = plan_.parts.insert(part, {name, 0});
      part->parameters += parameter.spec.shape.elements();
    }
  }

  void count_course() {
    PlannedCourse& course = plan_.course;
    const TrainConfig& train = session_.config.train;
    course.steps = static_cast<std::uint64_t>(train.steps);
    course.updates = total_updates(train);
    course.accumulate = static_cast<std::uint64_t>(train.accumulate);
    course.tokens_per_step = session_.tokens_of(1);
    course.samples = static_cast<std::uint64_t>(session_.data->samples());
    course.held_out = static_cast<std::uint64_t>(session_.data->held_out());
    if (course.held_out > 0)
      course.validations = 1 + times_due(train.validate_every, course.updates);
    if (session_.writes_samples())
      course.texts = times_due(session_.sampler->every(), course.updates);
  }

  // New weights follow every update that steps or a validation follow. A process whose compiles are
  // used up leaves the weights of its last update to the next one, which compiles them at its
  // start.
  void count_compiles() {
    PlannedCompiles& compiles = plan_.compiles;
    compiles.at_start = static_cast<std::uint64_t>(session_.team->runner().compiles());
    compiles.per_update = static_cast<std::uint64_t>(session_.team->runner().compiles_per_update());
    compiles.limit = static_cast<std::uint64_t>(session_.compile_limit);
    const std::uint64_t weights = plan_.course.updates - (plan_.course.held_out > 0 ? 0 : 1);
    if (compiles.limit > 0 && compiles.per_update > 0) {
      const std::uint64_t left = compiles.limit - std::min(compiles.limit, compiles.at_start);
      compiles.restarts = weights / (left / compiles.per_update + 1);
    }
    compiles.in_all = compiles.at_start * (1 + compiles.restarts) +
                      compiles.per_update * (weights - compiles.restarts);
  }

  void weigh() {
    PlannedMemory& memory = plan_.memory;
    const std::size_t block = session_.parameters->block_bytes();
    memory.weights = block;
    memory.gradients = block;
    memory.moments = session_.parameters->bytes() - 2 * block;
    memory.step = session_.team->memory();
    const DataMemory data = session_.data->memory();
    memory.data = data.held;
    memory.mapped = data.mapped;
  }

  void weigh_checkpoints() {
    PlannedCheckpoints& checkpoints = plan_.checkpoints;
    const TrainConfig& train = session_.config.train;
    checkpoints.bytes = CheckpointStore::bytes_needed(session_.contents(false));
    checkpoints.bytes_in_update = CheckpointStore::bytes_needed(session_.contents(true));
    checkpoints.most = CheckpointStore::most_at_once(static_cast<int>(train.keep));
    checkpoints.every_steps = train.checkpoint_steps;
    checkpoints.every_minutes = train.checkpoint_minutes;
  }

  void count_flops() {
    plan_.flops = nn::step_flops(session_.config.model, /*causal=*/false);
    plan_.executed_flops = session_.team->runner().executed_flops();
    plan_.peak_tflops = usable_peak_flops(session_.peak, session_.config.engine.precision) / 1e12;
  }

  // Milliseconds of one of them.
  double timed_steps(std::uint64_t first, std::uint64_t count) {
    const Clock::time_point start = Clock::now();
    const auto samples = session_.training_samples(first, count);
    for (const TeamStep& step : session_.team->train(samples, session_.state.loss_scale.scale))
      throw_if_failed(step.result.status);
    return 1e3 * seconds_since(start) / static_cast<double>(count);
  }

  // The first steps map memory: they count only where there is no time for others.
  void measure_steps() {
    const std::uint64_t at_once = session_.steps_at_once();
    const auto most = std::max<std::uint64_t>(2, kMostTimedSteps / at_once);
    std::vector<double> steps = {timed_steps(0, at_once)};
    double spent = steps[0] / 1e3 * static_cast<double>(at_once);
    for (std::uint64_t i = 1; i <= most && spent < kBurstSeconds; ++i) {
      steps.push_back(timed_steps(i * at_once, at_once));
      spent += steps.back() / 1e3 * static_cast<double>(at_once);
    }
    throw_if_failed(session_.team->finish_gradients());
    if (steps.size() > 1) steps.erase(steps.begin());
    plan_.times.step = median(steps);
    plan_.times.timed_steps = steps.size() * at_once;
  }

  double timed_update(std::uint64_t accumulated, std::uint64_t t) {
    const Clock::time_point start = Clock::now();
    const TrainConfig& train = session_.config.train;
    const double scale = session_.state.loss_scale.scale;
    const AccumulatedGradient gradient =
        inspect_gradient(*session_.pool, *session_.parameters, accumulated, scale);
    apply_adam(*session_.pool, *session_.parameters, train, gradient,
               {accumulated, scale, learning_rate(train, t), t + 1});
    session_.clear_gradients();
    double compiling = 0;
    throw_if_failed(session_.team->update_weights(compiling));
    return 1e3 * seconds_since(start);
  }

  // The first pass over Adam's moments maps their memory.
  void measure_update() {
    const double first = timed_update(plan_.times.timed_steps, 0);
    plan_.times.update = first / 1e3 > kBurstSeconds ? first : timed_update(1, 1);
  }

  void measure_validation() {
    if (plan_.course.held_out == 0) return;
    const std::uint64_t at_a_time =
        std::min(plan_.course.held_out, static_cast<std::uint64_t>(session_.team->width()));
    const auto samples = session_.validation_samples(0, at_a_time);
    std::vector<double> times;
    double spent = 0;
    while (times.size() < kMostTimedSteps && spent < kBurstSeconds / 2) {
      const Clock::time_point start = Clock::now();
      for (const TeamStep& step : session_.team->evaluate(samples))
        throw_if_failed(step.result.status);
      times.push_back(1e3 * seconds_since(start));
      spent += times.back() / 1e3;
    }
    plan_.times.validation =
        median(times) * static_cast<double>(plan_.course.held_out) / static_cast<double>(at_a_time);
  }

  void measure_text() {
    if (plan_.course.texts == 0) return;
    const Clock::time_point start = Clock::now();
    plan_.memory.sampler =
        session_.sampler->write(session_.parameters->weights(), *session_.host_engine).bytes;
    plan_.times.text = 1e3 * seconds_since(start);
  }

  void measure() {
    session_.clear_gradients();
    measure_steps();
    measure_update();
    measure_validation();
    measure_text();
  }

  void estimate() {
    const PlannedCourse& course = plan_.course;
    const double train = plan_.times.step * static_cast<double>(course.steps) +
                         plan_.times.update * static_cast<double>(course.updates);
    const double validation = plan_.times.validation * static_cast<double>(course.validations) +
                              plan_.times.text * static_cast<double>(course.texts);
    const double compiling =
        session_.team->compile_milliseconds() * static_cast<double>(1 + plan_.compiles.restarts);
    plan_.seconds = (train + validation + compiling) / 1e3;
    const double tflops =
        plan_.executed_flops * static_cast<double>(course.steps) / (train / 1e3) / 1e12;
    if (plan_.peak_tflops > 0) plan_.utilization = tflops / plan_.peak_tflops;
  }

  TrainerOptions options_;
  Session session_;
  RunPlan plan_;
};

}  // namespace

double PlannedCourse::epochs() const {
  return samples == 0 ? 0 : static_cast<double>(steps) / static_cast<double>(samples);
}

std::size_t PlannedMemory::total() const {
  return weights + gradients + moments + step.engine() + step.surfaces + step.host + step.lanes +
         data + sampler;
}

RunPlan plan_run(const TrainerOptions& options) { return Planner(options).make(); }

}  // namespace anemone::train

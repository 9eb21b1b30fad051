// Sets a run up, asks everything in it what it is, and times a few of its steps.
#include "anemone/train/run_plan.h"

#include <algorithm>

#include "anemone/base/cpu_features.h"
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
constexpr std::size_t kMostSteps = 20;
constexpr double kBurstSeconds = 1.5;

void check(const Status& status) {
  if (!status.ok()) throw Error(status.message);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

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
    compiles.at_start = static_cast<std::uint64_t>(session_.runner->compiles());
    compiles.per_update = static_cast<std::uint64_t>(session_.runner->compiles_per_update());
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
    memory.step = session_.runner->memory();
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
    plan_.executed_flops = session_.runner->executed_flops();
    plan_.peak_tflops = usable_peak_flops(session_.peak, session_.config.engine.precision) / 1e12;
  }

  double timed_step(std::int64_t index) {
    const Clock::time_point start = Clock::now();
    session_.data->training(index, session_.sample);
    check(session_.runner->run(session_.sample, session_.state.loss_scale.scale).status);
    return 1e3 * seconds_since(start);
  }

  // The first step maps memory: it counts only where there is no time for others.
  void measure_steps() {
    std::vector<double> steps = {timed_step(0)};
    double spent = steps[0] / 1e3;
    for (std::int64_t index = 1; steps.size() <= kMostSteps && spent < kBurstSeconds; ++index) {
      steps.push_back(timed_step(index));
      spent += steps.back() / 1e3;
    }
    check(session_.runner->finish_gradients());
    if (steps.size() > 1) steps.erase(steps.begin());
    plan_.times.step = median(steps);
    plan_.times.timed_steps = steps.size();
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
    check(session_.runner->update_weights(compiling));
    return 1e3 * seconds_since(start);
  }

  // The first pass over Adam's moments maps their memory.
  void measure_update() {
    const double first = timed_update(plan_.times.timed_steps, 0);
    plan_.times.update = first / 1e3 > kBurstSeconds ? first : timed_update(1, 1);
  }

  void measure_validation() {
    if (plan_.course.held_out == 0) return;
    session_.data->validation(0, session_.sample);
    std::vector<double> samples;
    double spent = 0;
    while (samples.size() < kMostSteps && spent < kBurstSeconds / 2) {
      const Clock::time_point start = Clock::now();
      check(session_.runner->run(session_.sample, 1, /*accumulate=*/false).status);
      samples.push_back(1e3 * seconds_since(start));
      spent += samples.back() / 1e3;
    }
    plan_.times.validation = median(samples) * static_cast<double>(plan_.course.held_out);
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
        session_.runner->compile_milliseconds() * static_cast<double>(1 + plan_.compiles.restarts);
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
  return weights + gradients + moments + step.engine() + step.surfaces + step.host + data + sampler;
}

RunPlan plan_run(const TrainerOptions& options) { return Planner(options).make(); }

}  // namespace anemone::train

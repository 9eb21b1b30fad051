// The benchmark of one step.
#include "anemone/train/step_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "anemone/base/clock.h"
#include "anemone/base/cpu_features.h"
#include "anemone/base/error.h"
#include "anemone/base/quantile.h"
#include "anemone/base/random.h"
#include "anemone/base/system_info.h"
#include "anemone/compute/optimizer.h"
#include "anemone/compute/peak.h"
#include "anemone/engine/engines.h"
#include "anemone/nn/language_model.h"
#include "anemone/train/data_source.h"
#include "anemone/train/machine.h"
#include "anemone/train/optimizer.h"
#include "anemone/train/parameters.h"
#include "anemone/train/step_runner.h"
#include "anemone/train/trainer.h"

namespace anemone::train {
namespace {

constexpr int kWarmUpSteps = 2;
constexpr std::int64_t kFewestSteps = 3;
constexpr int kUpdates = 5;  // timed, for the optimizer and new weights
constexpr double kLossScale = 65536;

const char* kind_name(StepPart::Kind kind) {
  switch (kind) {
    case StepPart::Kind::kernel:
      return "kernel";
    case StepPart::Kind::glue:
      return "glue";
    case StepPart::Kind::copies:
      return "copies";
    case StepPart::Kind::tokens:
      return "tokens";
    case StepPart::Kind::gradient:
      return "dw";
  }
  return "";
}

class Bench {
 public:
  Bench(const RunConfig& config, const StepBenchOptions& options)
      : config_(config), options_(options) {
    const int threads = static_cast<int>(config.engine.threads);
    engine_ = engine::make_engine(config.engine.name, engine_options(config.engine));
    engine::Engine& host = host_engine_of(*engine_, threads, host_engine_);
    pool_ = threads_beside(host, threads);
    result_.partition = config.engine.partition.empty() ? engine_->traits().default_partition
                                                        : config.engine.partition;
    nn::StepGraph graph = nn::model_step(config.model, result_.partition);
    parameters_ = std::make_unique<ParameterList>(graph);
    prepare_model(host);
    RunnerOptions runner_options;
    runner_options.compile = compile_options(config.engine);
    runner_ = std::make_unique<StepRunner>(std::move(graph), *engine_, host, *parameters_,
                                           runner_options, *pool_);
  }

  StepBench run() {
    measure_peak();
    measure_steps();
    measure_peak();
    if (options_.updates) measure_updates();
    describe();
    weigh();
    return std::move(result_);
  }

 private:
  // Weights and a sample: which ones changes no time.
  void prepare_model(engine::Engine& host) {
    const auto seed = static_cast<std::uint32_t>(config_.train.seed);
    if (!config_.model.is_language_model()) {
      initialize_original(*parameters_, seed);
      make_original_source(config_, host, {})->training(0, sample_);
      return;
    }
    initialize_by_specs(*parameters_, seed);
    SplitMix64 random(seed);
    const auto vocab = static_cast<std::uint64_t>(config_.model.vocab);
    for (std::int64_t s = 0; s <= config_.model.seq; ++s)
      sample_.tokens.push_back(static_cast<std::uint32_t>(random.next() % vocab));
  }

  void step() {
    throw_if_failed(runner_->run(sample_, kLossScale).status);
    throw_if_failed(runner_->finish_gradients());
  }

  // What a virtual machine gets changes with the minutes: the peak is measured before and after the
  // steps, and the better one counts.
  void measure_peak() {
    const compute::Peak peak =
        options_.peak != nullptr ? *options_.peak : compute::measure_peak(*pool_);
    const auto raise = [](double& best, double now) { best = std::max(best, now); };
    raise(result_.peak_tflops, usable_peak_flops(peak, config_.engine.precision) / 1e12);
    raise(result_.peak_fp32_tflops, peak.fp32_flops / 1e12);
    raise(result_.peak_bf16_tflops, peak.bf16_flops / 1e12);
    raise(result_.copy_gb_per_second, peak.copy_bytes_per_second / 1e9);
  }

  bool is_over(Clock::time_point began) const {
    return options_.most_seconds > 0 && milliseconds_since(began) >= 1e3 * options_.most_seconds;
  }

  void measure_steps() {
    for (int i = 0; i < kWarmUpSteps; ++i) step();
    std::vector<double> steps;
    std::vector<std::vector<double>> parts(runner_->parts().size());
    const Clock::time_point began = Clock::now();
    for (std::int64_t i = 0; i < options_.steps && !(i >= kFewestSteps && is_over(began)); ++i) {
      const Clock::time_point start = Clock::now();
      step();
      steps.push_back(milliseconds_since(start));
      const auto now = runner_->parts();
      for (std::size_t part = 0; part < parts.size(); ++part)
        parts[part].push_back(now[part].milliseconds);
    }
    result_.steps = static_cast<std::int64_t>(steps.size());
    result_.ms_per_step = median(steps);
    result_.ms_per_step_best = quantile(steps, 0);
    result_.ms_per_step_p90 = quantile(steps, 0.9);
    const auto last = runner_->parts();
    for (std::size_t part = 0; part < parts.size(); ++part) {
      const double milliseconds = median(parts[part]);
      result_.parts.push_back({last[part].name, kind_name(last[part].kind), milliseconds,
                               last[part].flops / 1e9, milliseconds / result_.ms_per_step});
    }
  }

  void measure_updates() {
    std::vector<double> norms, adams, clears, weights;
    for (int i = 0; i < kUpdates; ++i) {
      Clock::time_point start = Clock::now();
      const auto lap = [&start](std::vector<double>& times) {
        times.push_back(milliseconds_since(start));
        start = Clock::now();
      };
      const AccumulatedGradient gradient = inspect_gradient(*pool_, *parameters_, 1, kLossScale);
      lap(norms);
      apply_adam(*pool_, *parameters_, config_.train, gradient,
                 {1, kLossScale, config_.train.learning_rate, static_cast<std::uint64_t>(i) + 1});
      lap(adams);
      compute::fill_zero(*pool_, parameters_->gradients());
      lap(clears);
      double milliseconds = 0;
      throw_if_failed(runner_->update_weights(milliseconds));
      weights.push_back(milliseconds);
      step();
    }
    BenchUpdate& update = result_.update;
    update = {median(norms), median(adams), median(clears), median(weights)};
    // Reads weights, gradient and two moments; writes all but the gradient.
    const double bytes = 7.0 * sizeof(float) * static_cast<double>(parameters_->count());
    update.adam_gb_per_second = bytes / (update.adam * 1e-3) / 1e9;
    update.adam_share = update.adam_gb_per_second / result_.copy_gb_per_second;
  }

  // By what the parts of a step say themselves; the system's number beside it is of the whole
  // process.
  void weigh() {
    const StepMemory step = runner_->memory();
    BenchMemory& memory = result_.memory;
    memory.parameters = parameters_->bytes();
    memory.packed = step.one_form;
    memory.forms = step.constants - step.one_form;
    memory.tensors = step.surfaces;
    memory.beyond = memory.forms + step.scratch + step.host;
    memory.resident = resident_memory_bytes();
  }

  void describe() {
    result_.engine = engine_->name();
    result_.precision = config_.engine.precision;
    result_.isa = best_isa();
    result_.cpu = cpu_model_name();
    result_.build = build_text();
    result_.threads = pool_->threads();
    result_.flops = nn::step_flops(config_.model, /*causal=*/false);
    result_.model_flops = result_.flops.total();
    result_.executed_flops = runner_->executed_flops();
    result_.tflops = result_.executed_flops / (result_.ms_per_step * 1e-3) / 1e12;
    result_.efficiency = result_.peak_tflops > 0 ? result_.tflops / result_.peak_tflops : 0;
    if (config_.model.is_language_model()) {
      result_.tokens_per_second =
          static_cast<double>(config_.model.seq) / (result_.ms_per_step * 1e-3);
    }
    result_.compile_ms = runner_->compile_milliseconds();
    result_.explain = runner_->explain();
  }

  const RunConfig& config_;
  const StepBenchOptions& options_;
  StepBench result_;
  std::unique_ptr<engine::Engine> engine_, host_engine_;
  std::shared_ptr<compute::ThreadPool> pool_;
  std::unique_ptr<ParameterList> parameters_;
  std::unique_ptr<StepRunner> runner_;
  Sample sample_;
};

}  // namespace

StepBench bench_step(const RunConfig& config, const StepBenchOptions& options) {
  if (options.steps < 1) throw Error("no steps to time", "", "at least one");
  return Bench(config, options).run();
}

}  // namespace anemone::train

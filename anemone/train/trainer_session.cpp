// Setting up a training process.
#include "anemone/train/trainer_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "anemone/compute/optimizer.h"
#include "anemone/engine/engines.h"
#include "anemone/nn/language_model.h"
#include "anemone/train/takes_programs.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;

int programs_of(const nn::StepGraph& graph) {
  return static_cast<int>(std::count_if(graph.kernels.begin(), graph.kernels.end(),
                                        [](const nn::Kernel& kernel) { return !kernel.host; }));
}

void refuse_used_folder(const fs::path& folder) {
  if (fs::exists(folder / "checkpoints"))
    throw Error("this folder holds a run already", folder.string(),
                "--resume to go on with it, or another --out");
}

}  // namespace

engine::CompileOptions compile_options(const EngineConfig& config) {
  engine::CompileOptions options;
  if (config.precision == "bf16") options.products = engine::ProductPrecision::bf16;
  options.pack_io = config.pack_io;
  return options;
}

engine::EngineOptions engine_options(const EngineConfig& config) {
  engine::EngineOptions options;
  options.threads = static_cast<int>(config.threads);
  options.target = config.target;
  options.multi_function = config.multi_function;
  options.numerics = config.numerics;
  return options;
}

engine::Engine& host_engine_of(engine::Engine& engine, int threads,
                               std::unique_ptr<engine::Engine>& owned) {
  if (engine.traits().runs_on_host) return engine;
  const auto list = engine::engines();
  for (auto entry = list.rbegin(); entry != list.rend(); ++entry) {
    if (!entry->support().ok) continue;
    engine::EngineOptions options;
    options.threads = threads;
    owned = entry->make(options);
    if (owned->traits().runs_on_host) return *owned;
  }
  throw Error(fmt::format("no engine runs the host's programs beside {}", engine.name()));
}

std::shared_ptr<compute::ThreadPool> threads_beside(const engine::Engine& host_engine,
                                                    int threads) {
  if (auto lent = host_engine.host_threads()) return lent;
  return std::make_shared<compute::ThreadPool>(threads > 0 ? threads
                                                           : compute::default_thread_count());
}

Session::Session(const TrainerOptions& given) : options(given), config(given.config) {}

void Session::open() {
  try {
    prepare();
  } catch (...) {
    metrics.reset();
    if (directory) directory->discard_if_new();
    throw;
  }
}

void Session::throw_if_stopped() const {
  if (const int number = signal(); number != 0) throw StopRequested{number};
}

std::optional<LoadedCheckpoint> Session::open_folder() {
  if (options.resume && !fs::exists(options.out)) throw no_run_to_resume(options.out);
  directory = std::make_unique<RunDirectory>(options.out);
  checkpoints =
      std::make_unique<CheckpointStore>(directory->path(), static_cast<int>(config.train.keep));
  std::optional<LoadedCheckpoint> loaded;
  if (options.resume)
    loaded = checkpoints->load_latest();
  else
    refuse_used_folder(directory->path());
  if (options.continues && !loaded)
    throw Error("the checkpoint to go on from is gone", directory->path().string());
  return loaded;
}

// What every run needs before its weights are known.
nn::StepGraph Session::set_up() {
  make_engines();
  nn::StepGraph graph = nn::model_step(config.model, partition);
  check_compile_limit(graph);
  parameters = std::make_unique<ParameterList>(graph);
  lanes = lanes_of(config, parameters->block_bytes());
  data = make_data_source(config, *host_engine, [this] { throw_if_stopped(); });
  if (config.model.is_language_model()) {
    text_measure = std::make_unique<TextMeasure>(config);
    sampler = std::make_unique<TextSampler>(config, text_measure->tokenizer());
  }
  peak = options.peak != nullptr ? *options.peak : compute::measure_peak(*pool);
  throw_if_stopped();
  return graph;
}

void Session::prepare() {
  std::optional<LoadedCheckpoint> loaded = open_folder();
  const nn::StepGraph graph = set_up();
  if (loaded)
    resume(*loaded);
  else
    start_new();
  compile(graph);
  throw_if_stopped();
  open_metrics(loaded.has_value());
  state.config = to_toml(config);
  state.environment = environment();
  introduce();
}

void Session::open_for_plan() {
  refuse_used_folder(options.out);
  const nn::StepGraph graph = set_up();
  initialize();
  compile(graph);
  state.config = to_toml(config);
  state.environment = environment();
}

void Session::make_engines() {
  const int threads = static_cast<int>(config.engine.threads);
  engine = options.engine;
  if (engine == nullptr) {
    own_engine = engine::choose_engine(
        config.engine.name, engine_options(config.engine),
        [this](const engine::Engine& candidate) { return takes_model(candidate); },
        [this](const std::string& text) { message(text); });
    engine = own_engine.get();
  }
  host_engine = &host_engine_of(*engine, threads, own_host_engine);
  pool = threads_beside(*host_engine, threads);
  const engine::EngineTraits& traits = engine->traits();
  partition = partition_for(*engine);
  compile_limit = config.engine.compile_limit > 0 ? static_cast<int>(config.engine.compile_limit)
                                                  : traits.compile_limit;
  if (config.engine.compile_limit == 0 && !traits.update_recompiles) compile_limit = 0;
}

std::string Session::partition_for(const engine::Engine& candidate) const {
  return config.engine.partition.empty() ? candidate.traits().default_partition
                                         : config.engine.partition;
}

engine::Support Session::takes_model(const engine::Engine& candidate) const {
  return takes_programs(candidate, compile_options(config.engine),
                        [&] { return nn::model_step(config.model, partition_for(candidate)); });
}

void Session::check_compile_limit(const nn::StepGraph& graph) const {
  const int needed = programs_of(graph);
  // Where programs hold several functions, compiling them tells how many there are.
  if (compile_limit == 0 || needed <= compile_limit || config.engine.multi_function) return;
  std::string fits;
  for (const nn::Partition& other : nn::partitions()) {
    const int programs = static_cast<int>(nn::model_kernels(config.model, other.name).size());
    if (programs <= compile_limit)
      fits += fmt::format(", or engine.partition = \"{}\" with {}", other.name, programs);
  }
  throw Error(fmt::format("{} compiles a process are too few for one update, which takes {} "
                          "(partition {}, {} layers)",
                          compile_limit, needed, partition, config.model.layers),
              "engine.compile_limit", fmt::format("at least {}{}", needed, fits));
}

void Session::compile(const nn::StepGraph& graph) {
  RunnerOptions runner_options;
  runner_options.compile = compile_options(config.engine);
  StepTeam::MakeEngine make_engine;
  if (options.engine == nullptr)
    make_engine = [this](int threads) {
      engine::EngineOptions own = engine_options(config.engine);
      own.threads = threads;
      return engine::make_engine(engine->name(), own);
    };
  team = std::make_unique<StepTeam>(graph, *engine, *host_engine, *parameters, *pool,
                                    runner_options, lanes, make_engine);
  const StepRunner& runner = team->runner();
  if (compile_limit > 0 && runner.compiles_per_update() > compile_limit)
    throw Error(fmt::format("{} compiles a process are too few for one update", compile_limit),
                "engine.compile_limit", fmt::format("at least {}", runner.compiles_per_update()));
  state.compiles += static_cast<std::uint64_t>(runner.compiles());
  state.compile_seconds += team->compile_milliseconds() / 1e3;
}

void Session::open_metrics(bool resumed) {
  const std::filesystem::path path = directory->metrics_path();
  try {
    metrics = std::make_unique<MetricsLog>(path, resumed ? state.metrics_offset : 0);
  } catch (const Error& error) {
    // The checkpoint holds all that training needs: a lost log is no reason to lose it too.
    if (!resumed) throw;
    metrics = std::make_unique<MetricsLog>(path, 0);
    message(fmt::format("the metrics before step {} are lost ({}): a new log begins here",
                        state.step, error.what()));
  }
  nlohmann::ordered_json line;
  line["type"] = resumed ? "resume" : "run";
  line["version"] = kMetricsVersion;
  line["step"] = state.step;
  line["environment"] = environment();
  if (!resumed) line["config"] = to_toml(config);
  metrics->line(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Session::clear_gradients() {
  compute::fill_zero(*pool, parameters->gradients());
  team->begin_gradients();
}

std::uint64_t Session::steps_at_once() const {
  if (lanes == 1) return 1;
  const auto accumulate = static_cast<std::uint64_t>(config.train.accumulate);
  const auto steps = static_cast<std::uint64_t>(config.train.steps);
  return std::min(accumulate - state.accumulated, steps - state.step);
}

std::span<const Sample> Session::training_samples(std::uint64_t first, std::uint64_t count) {
  samples.resize(std::max<std::size_t>(samples.size(), count));
  for (std::uint64_t i = 0; i < count; ++i)
    data->training(static_cast<std::int64_t>(first + i), samples[i]);
  return std::span(samples).first(count);
}

std::span<const Sample> Session::validation_samples(std::uint64_t first, std::uint64_t count) {
  samples.resize(std::max<std::size_t>(samples.size(), count));
  for (std::uint64_t i = 0; i < count; ++i)
    data->validation(static_cast<std::int64_t>(first + i), samples[i]);
  return std::span(samples).first(count);
}

std::uint64_t Session::tokens_of(std::uint64_t steps) const {
  if (!config.model.is_language_model()) return 0;
  return steps * static_cast<std::uint64_t>(config.model.seq * config.model.batch);
}

}  // namespace anemone::train

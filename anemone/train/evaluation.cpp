// See evaluation.h.
#include "anemone/train/evaluation.h"

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/nn/language_model.h"
#include "anemone/train/step_runner.h"

namespace anemone::train {

MeanLoss evaluate(LoadedModel& model, engine::Engine& engine, engine::Engine& host_engine,
                  compute::ThreadPool& pool, const EvaluationOptions& options, std::uint64_t count,
                  const ReadTokens& read) {
  if (count < 2) throw Error("there is nothing to predict", "", "at least 2 tokens");
  nn::ModelConfig config = model.config;
  config.dtype = options.dtype;
  config.seq = std::min(config.seq, static_cast<std::int64_t>(count) - 1);
  const std::string& partition =
      options.partition.empty() ? engine.traits().default_partition : options.partition;
  nn::StepGraph graph = nn::language_model_forward(config, partition);
  model.parameters->add_rows(graph.parameter_rows);
  RunnerOptions runner_options;
  runner_options.compile = options.compile;
  StepRunner runner(std::move(graph), engine, host_engine, *model.parameters, runner_options, pool);
  MeanLoss loss;
  Sample sample;
  const auto length = static_cast<std::uint64_t>(config.seq);
  const bool cut = count > static_cast<std::uint64_t>(model.config.seq);
  const std::uint64_t most = cut && options.windows == Windows::apart ? length : length + 1;
  for (std::uint64_t begin = 0; begin + 1 < count; begin += length) {
    if (options.poll) options.poll();
    sample.tokens.assign(length + 1, Sample::kNoToken);
    read(begin, std::span(sample.tokens).first(std::min(most, count - begin)));
    const StepResult step = runner.run(sample, 1, /*accumulate=*/false);
    if (!step.status.ok()) throw Error(step.status.message);
    loss.add(step);
  }
  return loss;
}

}  // namespace anemone::train

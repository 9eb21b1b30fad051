// How well a language model predicts tokens that it was not given to learn: the negative
// log-likelihood of each, given those before it in its window.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "anemone/compute/thread_pool.h"
#include "anemone/engine/engine.h"
#include "anemone/nn/model_config.h"
#include "anemone/train/mean_loss.h"
#include "anemone/train/model_source.h"

namespace anemone::train {

// How tokens that are more than the model's length are cut.
enum class Windows : std::uint8_t {
  // Each begins with the last token of the one before, so that all tokens but the first are
  // predicted: what training does with its held-out tokens.
  shared_ends,
  apart,  // each by itself, as a model that may see no more tokens reads them
};

struct EvaluationOptions {
  engine::CompileOptions compile;
  DType dtype = DType::fp16;  // of the programs
  std::string partition;      // empty = the engine's own
  Windows windows = Windows::shared_ends;
  std::function<void()> poll;  // between windows; what it throws ends the evaluation
};

// Tokens `begin` to `begin + ids.size()` of the text.
using ReadTokens = std::function<void(std::uint64_t begin, std::span<std::uint32_t> ids)>;

// Of `count` tokens in windows of the model's length; fewer tokens are one window of their own
// length. Throws Error for fewer than two tokens and where the engine fails.
MeanLoss evaluate(LoadedModel& model, engine::Engine& engine, engine::Engine& host_engine,
                  compute::ThreadPool& pool, const EvaluationOptions& options, std::uint64_t count,
                  const ReadTokens& read);

}  // namespace anemone::train

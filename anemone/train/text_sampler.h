// What a language model writes while it learns: text by its present weights, now and then.
//
// The weights are shared by reference; the decoder, with its packed form of them and its caches, is
// there only while it writes. It has random state of its own and touches nothing that training
// uses, so that a run with samples learns bit for bit what one without them does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "anemone/engine/engine.h"
#include "anemone/mil/weight_store.h"
#include "anemone/model/generator.h"
#include "anemone/text/tokenizer.h"
#include "anemone/train/run_config.h"

namespace anemone::train {

class TextSampler {
 public:
  // `tokenizer` null: it is not known, and nothing can be written. Both must outlive this. Throws
  // Error for a prompt that is longer than the model's positions.
  TextSampler(const RunConfig& config, const text::Tokenizer* tokenizer);

  bool writes() const { return tokenizer_ != nullptr && options_.tokens > 0; }
  // After how many updates each; 0 = at the end only.
  std::int64_t every() const;
  const std::string& prompt() const { return prompt_; }

  struct Written {
    model::Generation generation;
    std::size_t bytes = 0;  // that the decoder held meanwhile
  };
  // On an engine of this host. `poll` is called before every token; what it throws ends it. Throws
  // Error where the weights give no number and where the engine fails.
  Written write(const mil::WeightStore& weights, engine::Engine& host_engine,
                const std::function<void()>& poll = {}) const;

 private:
  const RunConfig& config_;
  const text::Tokenizer* tokenizer_;
  std::string prompt_;
  model::GenerateOptions options_;
};

// Text by a model as a paragraph of its own: indented lines, without what would steer a terminal.
std::string text_block(std::string_view text);

}  // namespace anemone::train

// Where samples come from. Which one micro-step s sees is a pure function of the config and of the
// data, so a resumed run sees what an uninterrupted one would have.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/engine/engine.h"
#include "anemone/train/run_config.h"
#include "anemone/train/sample.h"

namespace anemone::train {

// What a source takes, in bytes.
struct DataMemory {
  std::size_t held = 0;    // its own
  std::size_t mapped = 0;  // of files, which the system drops when memory is short
};

class DataSource {
 public:
  virtual ~DataSource() = default;
  virtual std::int64_t samples() const = 0;   // training samples
  virtual std::int64_t held_out() const = 0;  // validation samples
  // The sample of micro-step `step`: epochs are shuffled by (seed, epoch).
  virtual void training(std::int64_t step, Sample& sample) = 0;
  virtual void validation(std::int64_t index, Sample& sample) = 0;
  virtual std::string describe() const = 0;  // "original: one sample, drand48 seed 42"
  virtual DataMemory memory() const = 0;
};

// Called now and then while a source is made; what it throws ends the making.
using Poll = std::function<void()>;

// Sources are rows of a table; Error naming them for an unknown one. `host_engine` labels the
// teacher's samples; it is not kept.
std::unique_ptr<DataSource> make_data_source(const RunConfig& config, engine::Engine& host_engine,
                                             const Poll& poll = {});

std::vector<std::string_view> data_source_names();

// How often `steps` steps take each of `samples` samples of text, if so often that a model learns
// them by heart; else empty.
std::string repetition_note(std::int64_t steps, std::int64_t samples);

// Does this source start from the original's weights (initialize_original)?
bool wants_original_weights(const RunConfig& config);

// Which sample each step takes: every epoch takes each sample once, in an order that depends on
// (seed, epoch) only.
class SampleOrder {
 public:
  SampleOrder(std::int64_t samples, std::uint64_t seed);
  std::int64_t sample(std::int64_t step);
  std::size_t bytes() const { return order_.size() * sizeof(order_[0]); }

 private:
  void shuffle(std::int64_t epoch);
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;
};

// Token ids as one long text, cut into sequences: what the sources `tokens` and `text` share.
struct TokenFiles {
  std::string what;  // for describe()
  std::vector<std::filesystem::path> training;
  std::vector<std::filesystem::path> validation;  // empty: the last part of `training`
};
// Throws Error where there are fewer tokens than one sequence has, and for ids outside of the
// model's vocabulary.
std::unique_ptr<DataSource> make_window_source(const TokenFiles& files, const RunConfig& config);
// "a_*.bin,b.bin" as patterns.
std::vector<std::string> split_patterns(const std::string& text);

// The rows' factories.
std::unique_ptr<DataSource> make_original_source(const RunConfig&, engine::Engine&, const Poll&);
std::unique_ptr<DataSource> make_teacher_source(const RunConfig&, engine::Engine&, const Poll&);
std::unique_ptr<DataSource> make_pairs_source(const RunConfig&, engine::Engine&, const Poll&);
std::unique_ptr<DataSource> make_tokens_source(const RunConfig&, engine::Engine&, const Poll&);
std::unique_ptr<DataSource> make_text_source(const RunConfig&, engine::Engine&, const Poll&);

}  // namespace anemone::train

// Where samples come from. A sample is a pair of [dim, seq] arrays; sample k of step s is a pure
// function of the config, so a resumed run sees what an uninterrupted one would have.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "anemone/train/run_config.h"

namespace anemone::train {

class DataSource {
 public:
  virtual ~DataSource() = default;
  virtual std::int64_t samples() const = 0;   // training samples
  virtual std::int64_t held_out() const = 0;  // validation samples
  // The sample of micro-step `step`: epochs are shuffled by (seed, epoch).
  virtual void training(std::int64_t step, std::span<float> x, std::span<float> target) = 0;
  virtual void validation(std::int64_t index, std::span<float> x, std::span<float> target) = 0;
  virtual std::string describe() const = 0;  // "original: one sample, drand48 seed 42"
};

// Sources are rows of a table (name, summary, factory); Error naming them for an unknown one.
std::unique_ptr<DataSource> make_data_source(const RunConfig& config);

}  // namespace anemone::train

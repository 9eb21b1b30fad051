// A tiny training run for tests: its config, what it said, how it ended.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "anemone/train/trainer.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {

// A layer that the reference engine runs in a few milliseconds: teacher data with held-out samples,
// five updates of three steps and one of one, growing loss scale, no checkpoints on the way.
train::RunConfig tiny_config(const std::vector<std::string>& overrides = {});

struct RunCase {
  explicit RunCase(const std::vector<std::string>& overrides = {}) {
    options.config = tiny_config(overrides);
  }

  train::TrainResult run();     // anew, in a fresh folder
  train::TrainResult resume();  // the same folder
  // Ends as by a signal once `steps` steps are done in all.
  train::TrainResult run_until(std::uint64_t steps, bool resume);
  // Goes on, again and again, until the run is finished; how often it was started.
  int run_to_the_end();

  std::filesystem::path metrics() const { return options.out / "metrics.jsonl"; }
  std::vector<std::string> lines(const std::string& type) const;  // of the metrics
  std::vector<nlohmann::json> updates() const;                    // those of the metrics
  std::vector<double> losses() const;                             // of the steps
  std::vector<float> weights() const;  // all parameters of the newest checkpoint
  bool said(const std::string& part) const;

  train::TrainerOptions options;
  std::vector<std::string> messages;

 private:
  train::TrainResult start(bool resume);
  TemporaryDirectory directory_;
  int folders_ = 0;
};

}  // namespace anemone::test

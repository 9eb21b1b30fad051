// Running tiny jobs.
#include "tests/train/run_case.h"

#include <fmt/format.h>
#include <signal.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "anemone/train/checkpoint.h"

namespace anemone::test {

train::RunConfig tiny_config(const std::vector<std::string>& overrides) {
  return train::parse_run_config(
      "[model]\ndim = 12\nhidden = 20\nheads = 3\nseq = 7\n"
      "[data]\nsource = \"teacher\"\nsamples = 5\nheld_out = 2\n"
      "[train]\nsteps = 16\naccumulate = 3\nvalidate_every = 2\ncheckpoint_steps = 0\n"
      "checkpoint_minutes = 0\nloss_scale_growth_interval = 2\ninitial_loss_scale = 1024\n"
      "[engine]\nname = \"reference\"\nthreads = 1\n",
      "tiny.toml", std::vector<train::ConfigOverride>(overrides.begin(), overrides.end()));
}

train::TrainResult RunCase::start(bool resume) {
  // Measuring takes longer than these runs.
  static const compute::Peak peak = [] {
    compute::ThreadPool pool(1);
    return compute::measure_peak(pool);
  }();
  options.peak = &peak;
  options.resume = resume;
  options.on_message = [this](const std::string& text) { messages.push_back(text); };
  return train::train(options);
}

train::TrainResult RunCase::run() {
  options.out = directory_.path() / fmt::format("run{}", ++folders_);
  return start(false);
}

train::TrainResult RunCase::resume() { return start(true); }

train::TrainResult RunCase::run_until(std::uint64_t steps, bool resume) {
  std::uint64_t done = 0;
  options.on_progress = [&](const train::Progress& progress) { done = progress.step; };
  options.pending_signal = [&] { return done >= steps ? SIGINT : 0; };
  const train::TrainResult result = resume ? this->resume() : run();
  options.on_progress = nullptr;
  options.pending_signal = nullptr;
  return result;
}

int RunCase::run_to_the_end() {
  int starts = 1;
  train::TrainResult result = run();
  while (result.outcome != train::Outcome::finished && starts < 100) {
    if (result.outcome == train::Outcome::failed) return -1;
    result = resume();
    ++starts;
  }
  return starts;
}

std::vector<std::string> RunCase::lines(const std::string& type) const {
  std::vector<std::string> found;
  std::ifstream file(metrics());
  for (std::string line; std::getline(file, line);)
    if (nlohmann::json::parse(line).value("type", "") == type) found.push_back(line);
  return found;
}

std::vector<nlohmann::json> RunCase::updates() const {
  std::vector<nlohmann::json> list;
  for (const std::string& line : lines("update")) list.push_back(nlohmann::json::parse(line));
  return list;
}

std::vector<double> RunCase::losses() const {
  std::vector<double> list;
  for (const std::string& line : lines("step"))
    list.push_back(nlohmann::json::parse(line).at("loss").get<double>());
  return list;
}

std::vector<float> RunCase::weights() const {
  const auto loaded = train::CheckpointStore(options.out, 1).load_latest();
  std::vector<float> values;
  for (const auto& [name, tensor] : loaded->tensors.tensors()) {
    if (name.rfind("param.", 0) != 0) continue;
    const std::size_t before = values.size();
    values.resize(before + tensor.data.size() / sizeof(float));
    std::memcpy(values.data() + before, tensor.data.data(), tensor.data.size());
  }
  return values;
}

bool RunCase::said(const std::string& part) const {
  for (const std::string& message : messages)
    if (message.find(part) != std::string::npos) return true;
  return false;
}

}  // namespace anemone::test

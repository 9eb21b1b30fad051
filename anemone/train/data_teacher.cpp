// A second random layer of the same shape as teacher: x is noise, the target what the teacher makes
// of it. Labels are computed once, in fp32 on the host's engine, so that they do not depend on the
// student's precision.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "anemone/base/error.h"
#include "anemone/train/data_source.h"
#include "anemone/train/parameters.h"
#include "anemone/train/step_runner.h"

namespace anemone::train {
namespace {

class TeacherSource final : public DataSource {
 public:
  TeacherSource(const RunConfig& config, engine::Engine& host_engine, const Poll& poll)
      : seed_(config.data.seed),
        samples_(config.data.samples),
        held_out_(config.data.held_out),
        elements_(static_cast<std::size_t>(config.model.dim * config.model.seq)),
        labels_(elements_ * static_cast<std::size_t>(samples_ + held_out_)),
        order_(samples_, static_cast<std::uint64_t>(config.train.seed)) {
    label_all(config, host_engine, poll);
  }

  std::int64_t samples() const override { return samples_; }
  std::int64_t held_out() const override { return held_out_; }
  void training(std::int64_t step, Sample& sample) override { read(order_.sample(step), sample); }
  void validation(std::int64_t index, Sample& sample) override { read(samples_ + index, sample); }
  std::string describe() const override {
    return fmt::format("teacher: {} samples and {} held out, seed {}", samples_, held_out_, seed_);
  }
  DataMemory memory() const override {
    return {labels_.size() * sizeof(float) + order_.bytes(), 0};
  }

 private:
  // Uniform with variance 1.
  void make_input(std::int64_t sample, std::vector<float>& x) const {
    x.resize(elements_);
    constexpr std::uint32_t kSpread = 2654435761U;  // neighbouring samples get distant seeds
    Drand48 random(static_cast<std::uint32_t>(seed_) +
                   kSpread * static_cast<std::uint32_t>(sample + 1));
    const double scale = std::sqrt(3.0);
    for (float& value : x) value = static_cast<float>(scale * random.uniform());
  }

  std::span<float> label(std::int64_t sample) {
    return std::span<float>(labels_).subspan(static_cast<std::size_t>(sample) * elements_,
                                             elements_);
  }

  void read(std::int64_t index, Sample& sample) {
    make_input(index, sample.x);
    const std::span<float> stored = label(index);
    sample.target.assign(stored.begin(), stored.end());
  }

  void label_all(const RunConfig& config, engine::Engine& host_engine, const Poll& poll) {
    nn::ModelConfig model = config.model;
    model.dtype = DType::fp32;
    nn::StepGraph graph =
        forward_part(nn::layer_step(model, host_engine.traits().default_partition));
    const std::string output = graph.output;
    ParameterList teacher(graph, Holds::values);
    // Not the student's weights, also where both seeds are the same.
    initialize_by_specs(teacher, ~static_cast<std::uint32_t>(seed_));
    RunnerOptions options;
    options.threads = static_cast<int>(config.engine.threads);
    StepRunner runner(std::move(graph), host_engine, host_engine, teacher, options);
    Sample sample;
    sample.target.resize(elements_);  // of no interest
    for (std::int64_t index = 0; index < samples_ + held_out_; ++index) {
      if (poll) poll();
      make_input(index, sample.x);
      const StepResult result = runner.run(sample, 1, /*accumulate=*/false);
      if (!result.status.ok()) throw Error("labelling samples failed: " + result.status.message);
      const std::vector<double> y = runner.tensor(output);
      std::transform(y.begin(), y.end(), label(index).begin(),
                     [](double value) { return static_cast<float>(value); });
    }
  }

  std::int64_t seed_, samples_, held_out_;
  std::size_t elements_;
  std::vector<float> labels_;
  SampleOrder order_;
};

}  // namespace

std::unique_ptr<DataSource> make_teacher_source(const RunConfig& config,
                                                engine::Engine& host_engine, const Poll& poll) {
  return std::make_unique<TeacherSource>(config, host_engine, poll);
}

}  // namespace anemone::train

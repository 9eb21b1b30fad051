// The table of data sources, the order of samples, and the original job's one sample.
#include "anemone/train/data_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/base/random.h"
#include "anemone/train/parameters.h"

namespace anemone::train {
namespace {

struct SourceRow {
  std::string_view name;
  std::unique_ptr<DataSource> (*make)(const RunConfig&, engine::Engine&, const Poll&);
  bool original_weights;
  bool tokens;  // for language models; else activations, for layers alone
};

constexpr SourceRow kSources[] = {
    {"original", make_original_source, true, false}, {"teacher", make_teacher_source, false, false},
    {"pairs", make_pairs_source, false, false},      {"tokens", make_tokens_source, false, true},
    {"text", make_text_source, false, true},
};

std::vector<std::string_view> source_names(bool tokens) {
  std::vector<std::string_view> names;
  for (const SourceRow& row : kSources)
    if (row.tokens == tokens) names.push_back(row.name);
  return names;
}

const SourceRow& row_of(const RunConfig& config) {
  for (const SourceRow& row : kSources) {
    if (row.name == config.data.source) return row;
  }
  throw Error(fmt::format("data.source = \"{}\" is unknown", config.data.source), "",
              fmt::format("{}", fmt::join(data_source_names(), ", ")));
}

// One sample: x is noise, the target a wave over all elements.
class OriginalSource final : public DataSource {
 public:
  explicit OriginalSource(const RunConfig& config)
      : seed_(config.data.seed),
        x_(static_cast<std::size_t>(config.model.dim * config.model.seq)),
        target_(x_.size()) {
    Drand48 random(static_cast<std::uint32_t>(seed_));
    for (std::size_t i = 0; i < x_.size(); ++i) {
      x_[i] = static_cast<float>(0.1 * random.uniform());
      target_[i] = static_cast<float>(0.1 * std::sin(0.03 * static_cast<double>(i) + 1));
    }
  }
  std::int64_t samples() const override { return 1; }
  std::int64_t held_out() const override { return 0; }
  void training(std::int64_t, Sample& sample) override {
    sample.x = x_;
    sample.target = target_;
  }
  void validation(std::int64_t, Sample&) override {
    ANEMONE_CHECK(false, "the original job holds nothing out");
  }
  std::string describe() const override {
    return fmt::format("original: one sample, drand48 seed {}", seed_);
  }
  DataMemory memory() const override { return {2 * x_.size() * sizeof(float), 0}; }

 private:
  std::int64_t seed_;
  std::vector<float> x_, target_;
};

}  // namespace

SampleOrder::SampleOrder(std::int64_t samples, std::uint64_t seed)
    : seed_(seed), order_(static_cast<std::size_t>(samples)) {}

void SampleOrder::shuffle(std::int64_t epoch) {
  epoch_ = epoch;
  std::iota(order_.begin(), order_.end(), 0);
  SplitMix64 random(seed_ ^ (static_cast<std::uint64_t>(epoch) * 0xd1342543de82ef95ULL));
  for (std::size_t left = order_.size(); left > 1; --left)
    std::swap(order_[left - 1], order_[random.next() % left]);
}

std::int64_t SampleOrder::sample(std::int64_t step) {
  const auto samples = static_cast<std::int64_t>(order_.size());
  if (step / samples != epoch_) shuffle(step / samples);
  return order_[static_cast<std::size_t>(step % samples)];
}

std::unique_ptr<DataSource> make_original_source(const RunConfig& config, engine::Engine&,
                                                 const Poll&) {
  return std::make_unique<OriginalSource>(config);
}

std::unique_ptr<DataSource> make_data_source(const RunConfig& config, engine::Engine& host_engine,
                                             const Poll& poll) {
  const SourceRow& row = row_of(config);
  if (row.tokens != config.model.is_language_model())
    throw Error(
        fmt::format("data.source = \"{}\" gives {}, but model.vocab = {} makes a model of {}",
                    row.name, row.tokens ? "tokens" : "activations", config.model.vocab,
                    row.tokens ? "layers alone" : "a language"),
        "", fmt::format("{}", fmt::join(source_names(!row.tokens), ", ")));
  return row.make(config, host_engine, poll);
}

std::vector<std::string_view> data_source_names() {
  std::vector<std::string_view> names;
  for (const SourceRow& row : kSources) names.push_back(row.name);
  return names;
}

std::string repetition_note(std::int64_t steps, std::int64_t samples) {
  constexpr std::int64_t kOften = 50;  // texts of a book's length are read some ten times
  if (samples <= 0 || steps / samples < kOften) return {};
  return fmt::format(
      "each sequence is trained on {} times, and learned by heart: more text, or fewer steps "
      "(--steps), would be better",
      steps / samples);
}

bool wants_original_weights(const RunConfig& config) { return row_of(config).original_weights; }

}  // namespace anemone::train

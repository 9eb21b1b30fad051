// Sequences of tokens: windows over files of token ids taken as one long text, each beginning with
// the last token of the one before, so that every token but the first is predicted once an epoch.
#include <fmt/format.h>

#include <cmath>

#include "anemone/base/counted.h"
#include "anemone/base/error.h"
#include "anemone/base/hash.h"
#include "anemone/text/token_shards.h"
#include "anemone/train/data_source.h"

namespace anemone::train {
namespace {

// Tokens `begin` to `end` of the shards, in windows of length + 1.
struct Span {
  std::uint64_t begin = 0, end = 0, length = 1;

  std::uint64_t tokens() const { return end - begin; }
  // The last one may be partial.
  std::int64_t windows() const {
    return tokens() < 2 ? 0 : static_cast<std::int64_t>((tokens() - 2) / length + 1);
  }
};

// Tells whether a run that resumes finds the tokens it had: files of the same length may hold
// others.
std::string short_hash(const text::TokenShards& training, const text::TokenShards& validation) {
  constexpr std::size_t kShown = 16;
  const std::string both = training.hash() + validation.hash();
  return content_hash(std::as_bytes(std::span(both))).substr(0, kShown);
}

class TokenSource final : public DataSource {
 public:
  TokenSource(const TokenFiles& files, const RunConfig& config)
      : what_(files.what),
        training_(files.training, static_cast<std::uint64_t>(config.model.vocab)),
        validation_(files.validation, static_cast<std::uint64_t>(config.model.vocab)),
        hash_(short_hash(training_, validation_)),
        length_(static_cast<std::uint64_t>(config.model.seq)),
        shuffled_(config.data.order == "shuffled"),
        train_(training_span(config, files.validation.empty())),
        held_(held_out_span(config, files.validation.empty())),
        order_(train_.windows(), static_cast<std::uint64_t>(config.train.seed)) {}

  std::int64_t samples() const override { return train_.windows(); }
  std::int64_t held_out() const override { return held_.windows(); }

  void training(std::int64_t step, Sample& sample) override {
    const std::int64_t window = shuffled_ ? order_.sample(step) : step % samples();
    // The last window is whole too: it begins earlier where little is left.
    const std::uint64_t begin = std::min(
        train_.begin + static_cast<std::uint64_t>(window) * length_, train_.end - length_ - 1);
    sample.tokens.resize(length_ + 1);
    training_.read(begin, sample.tokens);
  }

  void validation(std::int64_t index, Sample& sample) override {
    const std::uint64_t begin = held_.begin + static_cast<std::uint64_t>(index) * length_;
    const std::uint64_t count = std::min(length_ + 1, held_.end - begin);
    sample.tokens.assign(length_ + 1, Sample::kNoToken);
    const text::TokenShards& shards = validation_.size() == 0 ? training_ : validation_;
    shards.read(begin, std::span(sample.tokens).first(count));
  }

  std::string describe() const override {
    return fmt::format("{}: {} in {} {} of {}, {} held out; hash {}", what_,
                       counted(train_.tokens(), "token"), samples(),
                       shuffled_ ? "shuffled sequences" : "sequences in their order", length_,
                       counted(held_.tokens(), "token"), hash_);
  }

  DataMemory memory() const override {
    return {order_.bytes(), training_.bytes() + validation_.bytes()};
  }

 private:
  Span training_span(const RunConfig& config, bool shares) const {
    const auto size = static_cast<double>(training_.size());
    const auto end =
        shares
            ? static_cast<std::uint64_t>(std::floor(size * (1 - config.data.validation_fraction)))
            : training_.size();
    if (end < length_ + 1)
      throw Error(fmt::format("{} for training are fewer than one sequence", counted(end, "token")),
                  "data.path", fmt::format("at least model.seq + 1 = {}", length_ + 1));
    return {0, end, length_};
  }

  Span held_out_span(const RunConfig& config, bool shares) const {
    const std::uint64_t begin = shares ? train_.end : 0;
    const std::uint64_t end = shares ? training_.size() : validation_.size();
    const bool wanted = !shares || config.data.validation_fraction > 0;
    if (wanted && end - begin < 2)
      throw Error(fmt::format("{} for validation: there is nothing to predict",
                              counted(end - begin, "token")),
                  shares ? "data.validation_fraction" : "data.validation_path",
                  "at least 2 tokens, or data.validation_fraction = 0");
    return {begin, end, length_};
  }

  std::string what_;
  text::TokenShards training_, validation_;  // the latter empty: a part of the former
  std::string hash_;
  std::uint64_t length_;
  bool shuffled_;
  Span train_, held_;
  SampleOrder order_;
};

std::vector<std::filesystem::path> files_of(const std::string& patterns) {
  return text::expand_patterns(split_patterns(patterns));
}

}  // namespace

std::vector<std::string> split_patterns(const std::string& text) {
  std::vector<std::string> patterns;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) patterns.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return patterns;
}

std::unique_ptr<DataSource> make_window_source(const TokenFiles& files, const RunConfig& config) {
  return std::make_unique<TokenSource>(files, config);
}

std::unique_ptr<DataSource> make_tokens_source(const RunConfig& config, engine::Engine&,
                                               const Poll&) {
  if (config.data.path.empty())
    throw Error("data.path is empty", "", "files of token ids: patterns, separated by commas");
  TokenFiles files;
  files.what = "tokens of " + config.data.path;
  files.training = files_of(config.data.path);
  files.validation = files_of(config.data.validation_path);
  return make_window_source(files, config);
}

}  // namespace anemone::train

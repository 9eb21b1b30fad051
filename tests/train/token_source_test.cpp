// Sequences of tokens: every token is predicted once an epoch, across the ends of files; what is
// held out is evaluated whole.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "anemone/base/error.h"
#include "anemone/engine/engines.h"
#include "anemone/text/token_file.h"
#include "anemone/train/data_source.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/run_case.h"

namespace anemone::train {
namespace {

constexpr std::uint32_t kVocab = 5000;

class TokenSources : public ::testing::Test {
 protected:
  // Token i of all files is i + first.
  std::string write(const std::string& name, std::uint32_t first, std::uint32_t count) {
    const auto path = directory.path() / name;
    text::TokenWriter writer(path, kVocab);
    std::vector<text::TokenId> ids(count);
    std::iota(ids.begin(), ids.end(), first);
    writer.write(ids);
    EXPECT_TRUE(writer.finish().ok());
    return path.string();
  }
  std::unique_ptr<DataSource> make(const std::vector<std::string>& overrides) {
    std::vector<std::string> all = {"data.source=tokens", "model.vocab=5000", "model.seq=7"};
    all.insert(all.end(), overrides.begin(), overrides.end());
    return make_data_source(test::tiny_config(all), *engine);
  }
  std::string refusal(const std::vector<std::string>& overrides) {
    try {
      make(overrides);
    } catch (const Error& error) {
      return error.what();
    }
    return "taken";
  }
  static std::string path_key(const std::string& path) { return "data.path=\"" + path + "\""; }
  static std::string folder_of(const std::string& path) {
    return std::filesystem::path(path).parent_path().string();
  }

  test::TemporaryDirectory directory;
  std::unique_ptr<engine::Engine> engine = engine::make_engine("reference", {1});
};

using Predicted = std::map<std::uint32_t, int>;

void count_targets(const Sample& sample, Predicted& predicted) {
  for (std::size_t s = 0; s + 1 < sample.tokens.size(); ++s) {
    if (sample.tokens[s + 1] == Sample::kNoToken) continue;
    EXPECT_EQ(sample.tokens[s + 1], sample.tokens[s] + 1);  // one text, whatever the files
    ++predicted[sample.tokens[s + 1]];
  }
}

TEST_F(TokenSources, EveryTokenIsPredictedOnceAnEpoch) {
  write("a.tokens", 0, 10);
  write("b.tokens", 10, 3);
  const std::string last = write("c.tokens", 13, 44);
  const auto source = make({path_key(folder_of(last) + "/*.tokens"), "data.validation_fraction=0"});
  EXPECT_EQ(source->samples(), 8);  // 56 targets
  EXPECT_EQ(source->held_out(), 0);
  std::vector<std::vector<std::uint32_t>> orders;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    Predicted predicted;
    orders.emplace_back();
    for (std::int64_t i = 0; i < 8; ++i) {
      Sample sample;
      source->training(8 * epoch + i, sample);
      ASSERT_EQ(sample.tokens.size(), 8U);
      count_targets(sample, predicted);
      orders.back().push_back(sample.tokens[0]);
    }
    EXPECT_EQ(predicted.size(), 56U);
    for (const auto& [token, times] : predicted) EXPECT_EQ(times, 1) << token;
  }
  EXPECT_TRUE(orders[0] != orders[1] || orders[1] != orders[2]);
}

// Sizes at random: nothing is lost at the end either, and what is held out is not trained on. From
// 14 tokens on, what the largest share held out leaves is a whole sequence.
RC_GTEST_FIXTURE_PROP(TokenSources, NothingIsLost, ()) {
  const auto tokens = *rc::gen::inRange<std::uint32_t>(14, 90);
  const bool sequential = *rc::gen::arbitrary<bool>();
  const auto percent = *rc::gen::inRange(20, 40);
  const std::string path = write("a", 0, tokens);
  const auto source = make({path_key(path), fmt::format("data.validation_fraction=0.{}", percent),
                            sequential ? "data.order=sequential" : "data.order=shuffled"});
  Predicted trained, held;
  Sample sample;
  std::uint32_t previous = 0;
  for (std::int64_t step = 0; step < source->samples(); ++step) {
    source->training(step, sample);
    count_targets(sample, trained);
    RC_ASSERT(!sequential || sample.tokens[0] >= previous);
    previous = sample.tokens[0];
  }
  for (std::int64_t index = 0; index < source->held_out(); ++index) {
    source->validation(index, sample);
    RC_ASSERT(sample.tokens.size() == 8U);
    count_targets(sample, held);
  }
  const auto split = static_cast<std::uint32_t>(tokens * (1 - percent / 100.0));
  RC_ASSERT(trained.size() == split - 1);
  RC_ASSERT(held.size() == tokens - split - 1);
  RC_ASSERT(trained.rbegin()->first == split - 1);
  RC_ASSERT(held.begin()->first == split + 1);
  for (const auto& target : held) RC_ASSERT(target.second == 1);
}

TEST_F(TokenSources, OtherFilesCanBeHeldOut) {
  const std::string train = write("train", 0, 30), validation = write("validation", 100, 12);
  const auto source = make(
      {path_key(train), "data.validation_path=\"" + validation + "\"", "data.order=sequential"});
  EXPECT_EQ(source->samples(), 5);
  EXPECT_EQ(source->held_out(), 2);
  Sample sample;
  source->validation(1, sample);
  EXPECT_EQ(sample.tokens[0], 107U);
  EXPECT_EQ(sample.tokens[4], 111U);
  EXPECT_EQ(sample.tokens[5], Sample::kNoToken);
  source->training(4, sample);  // what is left, with some of the one before
  EXPECT_EQ(sample.tokens.front(), 22U);
  EXPECT_EQ(sample.tokens.back(), 29U);
  source->training(5, sample);
  EXPECT_EQ(sample.tokens.front(), 0U);
}

TEST_F(TokenSources, WhatCannotBeLearnedIsRefused) {
  const std::string brief = write("brief", 0, 8), other = write("other", 4990, 10);
  const auto contains = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  contains(refusal({}), "data.path is empty");
  contains(refusal({path_key(brief + "*.bin")}), "brief*.bin: there is no such file");
  contains(refusal({path_key(brief)}), "7 tokens for training are fewer than one sequence");
  EXPECT_EQ(refusal({path_key(brief), "data.validation_fraction=0"}), "taken");
  contains(refusal({path_key(brief + "," + other), "data.validation_fraction=0.01"}),
           "1 token for validation");
  contains(refusal({path_key(other), "model.vocab=4995"}), "4995");
  contains(refusal({path_key(brief), "model.vocab=0"}), "tokens");
  contains(refusal({"data.source=original"}), "activations");
}

}  // namespace
}  // namespace anemone::train

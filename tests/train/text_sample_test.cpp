// Samples of text in a run: what is written is the present weights' own, is part of the run's
// record and of its continuation, and changes nothing that is learned.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "anemone/engine/engines.h"
#include "anemone/model/decoder.h"
#include "anemone/train/metrics_compare.h"
#include "anemone/train/model_source.h"
#include "anemone/train/text_sampler.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/run_case.h"

namespace anemone::test {
namespace {

using train::Outcome;
using Json = nlohmann::json;

class TextSample : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 40; ++i) text += "all work and no play. ";
    ASSERT_TRUE(write_file_atomically(text_, text).ok());
    ::setenv("XDG_CACHE_HOME", folder_.path().c_str(), 1);
  }
  void TearDown() override { ::unsetenv("XDG_CACHE_HOME"); }

  // A language model of bytes in place of the tiny layer, six updates.
  std::vector<std::string> job(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> keys = {"data.source=text",      "data.path=" + text_.string(),
                                     "model.vocab=256",       "data.validation_fraction=0.02",
                                     "train.sample_tokens=5", "train.learning_rate=0.01"};
    keys.insert(keys.end(), more.begin(), more.end());
    return keys;
  }

  // Of the sample after `update` updates.
  static Json line_of(const RunCase& run, std::uint64_t update) {
    for (const std::string& text : run.lines("sample")) {
      Json line = Json::parse(text);
      if (line.at("update") == update) return line;
    }
    ADD_FAILURE() << "no sample after " << update;
    return {};
  }

  TemporaryDirectory folder_;
  std::filesystem::path text_ = folder_.path() / "text.txt";
};

TEST_F(TextSample, IsWrittenWithEachValidationAndAtTheEnd) {
  RunCase run(job());
  const train::TrainResult result = run.run();
  ASSERT_EQ(result.outcome, Outcome::finished);
  ASSERT_EQ(run.lines("sample").size(), 3U);  // after updates 2, 4 and 6
  const Json last = line_of(run, 6);
  EXPECT_EQ(last.at("step"), 16);
  EXPECT_EQ(last.at("prompt"), "\n");
  EXPECT_EQ(last.at("tokens"), 5);
  EXPECT_TRUE(run.said("sample after 4 updates:\n    "));
  ASSERT_TRUE(result.report.sample.has_value());
  EXPECT_EQ(result.report.sample->text, last.at("text"));
  EXPECT_NE(to_text(result.report).find("sample        after 6 updates"), std::string::npos);
  EXPECT_EQ(Json::parse(to_json(result.report)).at("sample").at("update"), 6);
}

TEST_F(TextSample, HasACadenceOfItsOwnOrNone) {
  RunCase own(job({"train.sample_every=3"})), none(job({"train.sample_tokens=0"}));
  RunCase end(job({"train.validate_every=0", "data.validation_fraction=0"}));
  for (RunCase* run : {&own, &none, &end}) ASSERT_EQ(run->run().outcome, Outcome::finished);
  EXPECT_EQ(own.lines("sample").size(), 2U);
  EXPECT_TRUE(none.lines("sample").empty());
  EXPECT_EQ(end.lines("sample").size(), 1U);
}

TEST_F(TextSample, ChangesNothingThatIsLearned) {
  RunCase with(job({"train.sample_every=1", "train.sample_seed=1"}));
  RunCase without(job({"train.sample_tokens=0"}));
  ASSERT_EQ(with.run().outcome, Outcome::finished);
  ASSERT_EQ(without.run().outcome, Outcome::finished);
  EXPECT_EQ(with.weights(), without.weights());
  EXPECT_EQ(with.losses(), without.losses());
  for (const char* type : {"update", "validation"}) {
    const auto a = with.lines(type), b = without.lines(type);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i)
      EXPECT_EQ(Json::parse(a[i]).at("loss"), Json::parse(b[i]).at("loss"));
  }
}

// The last sample is what `anemone generate` makes of the last checkpoint.
TEST_F(TextSample, IsWhatTheCheckpointWrites) {
  RunCase run(job({"train.sample_prompt=al", "train.sample_temperature=0.7"}));
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  const train::LoadedModel model = train::load_model(run.options.out / "last");
  const auto engine = engine::make_engine("reference", {1});
  model::Decoder decoder(model.config, model.config.seq, model.parameters->weights(), *engine, {});
  model::GenerateOptions options;
  options.tokens = 5;
  options.sampler.temperature = 0.7;
  options.sampler.top_p = model::kUsualTopP;
  const auto tokenizer = text::load_tokenizer("bytes");
  const std::string text = model::generate(decoder, *tokenizer, "al", options).text;
  const Json line = {{"text", text}};  // what is no UTF-8 is replaced in both
  EXPECT_EQ(Json::parse(line.dump(-1, ' ', false, Json::error_handler_t::replace)).at("text"),
            line_of(run, 6).at("text"));
}

TEST_F(TextSample, ThatASignalCutsOffIsWrittenAfterTheResume) {
  RunCase whole(job());
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  for (const int polls : {1, 3}) {
    RunCase run(job());
    // Behind the validation after four updates there is nothing but the sample.
    int polled = 0;
    run.options.pending_signal = [&] {
      return run.lines("validation").size() == 3 && polled++ >= polls ? SIGINT : 0;
    };
    ASSERT_EQ(run.run().outcome, Outcome::interrupted);
    EXPECT_EQ(run.lines("sample").size(), 1U);
    run.options.pending_signal = nullptr;
    ASSERT_EQ(run.resume().outcome, Outcome::finished);
    EXPECT_EQ(train::compare_metrics(run.metrics(), whole.metrics()), std::vector<std::string>{});
    EXPECT_EQ(run.lines("sample").size(), 3U);
  }
}

TEST_F(TextSample, OfWeightsThatAreNoNumbersIsNoReasonToFail) {
  RunCase run(job({"train.learning_rate=1e30", "train.on_nonfinite=skip"}));
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  EXPECT_TRUE(run.said("no sample after 2 updates"));
  EXPECT_TRUE(line_of(run, 2).contains("problem"));
}

TEST_F(TextSample, WithAPromptThatDoesNotFitIsRefusedAtTheStart) {
  RunCase run(job({"train.sample_prompt=longer than seven"}));
  try {
    run.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "train.sample_prompt: the prompt has 17 tokens (expected at most 7, model.seq)");
  }
}

TEST_F(TextSample, BlocksSteerNoTerminal) {
  EXPECT_EQ(train::text_block("a\nb\x1b[2J\r\tc"), "    a\n    b\xef\xbf\xbd[2J\xef\xbf\xbd\tc");
}

}  // namespace
}  // namespace anemone::test

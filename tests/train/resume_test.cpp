// An interrupted run continues bit for bit: after a signal at any step, for a compile budget,
// beside a changed config.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "anemone/base/error.h"
#include "anemone/engine/engines.h"
#include "anemone/text/token_file.h"
#include "anemone/train/metrics_compare.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/fake_engine.h"
#include "tests/train/run_case.h"

namespace anemone::test {
namespace {

using train::Outcome;

void expect_same(const RunCase& interrupted, const RunCase& whole) {
  const auto differences = train::compare_metrics(interrupted.metrics(), whole.metrics());
  EXPECT_TRUE(differences.empty()) << differences.front();
  EXPECT_EQ(interrupted.weights(), whole.weights());
}

TEST(Resume, AfterEveryStepBitForBit) {
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  const std::uint64_t steps = 16;
  for (std::uint64_t stop = 1; stop < steps; ++stop) {
    RunCase interrupted;
    const train::TrainResult first = interrupted.run_until(stop, /*resume=*/false);
    ASSERT_EQ(first.outcome, Outcome::interrupted);
    EXPECT_EQ(first.step, stop);
    ASSERT_EQ(interrupted.resume().outcome, Outcome::finished);
    SCOPED_TRACE(stop);
    expect_same(interrupted, whole);
  }
}

TEST(Resume, AgainAndAgainBitForBit) {
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  RunCase interrupted;
  ASSERT_EQ(interrupted.run_until(1, false).outcome, Outcome::interrupted);
  for (std::uint64_t stop = 2; stop < 16; ++stop)
    ASSERT_EQ(interrupted.run_until(stop, true).outcome, Outcome::interrupted);
  const train::TrainResult last = interrupted.resume();
  ASSERT_EQ(last.outcome, Outcome::finished);
  expect_same(interrupted, whole);
  EXPECT_EQ(last.report.restarts, 15U);
  EXPECT_EQ(last.report.steps, 16U);
}

TEST(Resume, DiscardedUpdatesToo) {
  const auto engine = engine::make_engine("reference", {});
  const auto spoil = [&](FakeEngine& fake, int run) {
    fake.spoils.push_back({"l0.ffn_bwd", "dh1", run, std::numeric_limits<double>::infinity()});
  };
  FakeEngine spoiled(*engine);
  spoil(spoiled, 4);  // the second update's second step
  RunCase whole;
  whole.options.engine = &spoiled;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  for (std::uint64_t stop = 4; stop <= 6; ++stop) {
    FakeEngine before(*engine), after(*engine);
    spoil(before, 4);
    if (stop == 4) spoil(after, 0);
    RunCase interrupted;
    interrupted.options.engine = &before;
    ASSERT_EQ(interrupted.run_until(stop, false).outcome, Outcome::interrupted);
    interrupted.options.engine = &after;
    ASSERT_EQ(interrupted.resume().outcome, Outcome::finished);
    SCOPED_TRACE(stop);
    expect_same(interrupted, whole);
  }
}

TEST(Resume, WithTheCadenceOfCheckpoints) {
  RunCase whole, other({"train.checkpoint_steps=2", "train.keep=2"});
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  ASSERT_EQ(other.run().outcome, Outcome::finished);
  expect_same(other, whole);
}

TEST(Resume, LaterStepsContinueAFinishedRun) {
  RunCase short_run({"train.steps=6"});
  ASSERT_EQ(short_run.run().outcome, Outcome::finished);
  short_run.options.config = tiny_config();
  ASSERT_EQ(short_run.resume().outcome, Outcome::finished);
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  // Six steps are two whole updates, so nothing but the validation at the early end differs.
  EXPECT_EQ(short_run.losses(), whole.losses());
  EXPECT_EQ(short_run.weights(), whole.weights());
}

TEST(Resume, FinishedRunHasNothingToDo) {
  RunCase done;
  ASSERT_EQ(done.run().outcome, Outcome::finished);
  const std::vector<float> weights = done.weights();
  const train::TrainResult again = done.resume();
  EXPECT_EQ(again.outcome, Outcome::finished);
  EXPECT_TRUE(done.said("nothing is left to do"));
  EXPECT_EQ(again.report.steps, 16U);
  EXPECT_EQ(done.weights(), weights);
}

TEST(Resume, OtherModelOrDataIsRefused) {
  RunCase run;
  ASSERT_EQ(run.run_until(3, false).outcome, Outcome::interrupted);
  for (const char* change : {"train.learning_rate=0.5", "model.hidden=24", "data.seed=1",
                             "train.accumulate=4", "engine.precision=fp32"}) {
    run.options.config = tiny_config({change});
    try {
      run.resume();
      FAIL() << change;
    } catch (const Error& error) {
      const std::string key = std::string(change).substr(0, std::string(change).find('='));
      EXPECT_NE(std::string(error.what()).find(key + ": was "), std::string::npos) << error.what();
    }
  }
}

TEST(Resume, OtherTokensInAFileOfTheSameLengthAreNoticed) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "text.tokens";
  const auto write = [&](text::TokenId id) {
    text::TokenWriter writer(path, 50);
    writer.write(std::vector<text::TokenId>(60, id));
    ASSERT_TRUE(writer.finish().ok());
  };
  write(1);
  RunCase run({"data.source=tokens", "model.vocab=50", "data.path=\"" + path.string() + "\""});
  ASSERT_EQ(run.run_until(2, false).outcome, Outcome::interrupted);
  ASSERT_EQ(run.run_until(3, true).outcome, Outcome::interrupted);
  EXPECT_FALSE(run.said("data was"));
  write(2);
  ASSERT_EQ(run.run_until(4, true).outcome, Outcome::interrupted);
  EXPECT_TRUE(run.said("data was tokens of"));
  EXPECT_TRUE(run.said("the run is no continuation bit for bit"));
  EXPECT_FALSE(run.said("last bits"));
}

TEST(Resume, ANewRunDoesNotOverwriteAnOldOne) {
  RunCase run;
  ASSERT_EQ(run.run_until(3, false).outcome, Outcome::interrupted);
  run.options.resume = false;
  try {
    train::train(run.options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("--resume"), std::string::npos) << error.what();
  }
  EXPECT_EQ(run.resume().outcome, Outcome::finished);
}

TEST(Resume, LostMetricsDoNotLoseTheRun) {
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  const std::vector<double> losses = whole.losses();
  for (const char* what : {"gone", "empty", "another"}) {
    SCOPED_TRACE(what);
    RunCase run;
    ASSERT_EQ(run.run_until(6, false).outcome, Outcome::interrupted);
    std::filesystem::remove(run.metrics());
    if (what != std::string("gone")) std::ofstream(run.metrics()) << (*what == 'a' ? "x\n" : "");
    ASSERT_EQ(run.resume().outcome, Outcome::finished);
    EXPECT_TRUE(run.said("the metrics before step 6 are lost"));
    EXPECT_EQ(run.losses(), std::vector<double>(losses.begin() + 6, losses.end()));
    EXPECT_EQ(run.weights(), whole.weights());
  }
}

TEST(Resume, WithoutARunThereIsNothingToResume) {
  RunCase run;
  run.options.out = "/nonexistent/run";
  EXPECT_THROW(run.resume(), Error);
}

TEST(Resume, BeforeTheFirstCheckpointStartsAgain) {
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  RunCase run;
  ASSERT_EQ(run.run_until(3, false).outcome, Outcome::interrupted);
  std::filesystem::remove_all(run.options.out / "checkpoints");
  run.options.config = tiny_config({"model.hidden=24"});
  EXPECT_THROW(run.resume(), Error);  // another run, checkpoint or not
  run.options.config = tiny_config();
  ASSERT_EQ(run.resume().outcome, Outcome::finished);
  EXPECT_TRUE(run.said("no checkpoint yet"));
  expect_same(run, whole);
}

TEST(CompileBudget, ContinuesBitForBitInNewProcesses) {
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  // Four programs at the start and at each of six updates: one update a process, and one more to
  // validate.
  RunCase limited({"engine.compile_limit=4"});
  EXPECT_EQ(limited.run_to_the_end(), 7);
  expect_same(limited, whole);
  RunCase roomy({"engine.compile_limit=12"});
  EXPECT_EQ(roomy.run_to_the_end(), 3);
  expect_same(roomy, whole);
}

TEST(CompileBudget, DynamicWeightsCompileOnce) {
  RunCase six({"engine.partition=six"});
  ASSERT_EQ(six.run().outcome, Outcome::finished);
  RunCase dynamic({"engine.partition=dynamic", "engine.compile_limit=6"});
  const train::TrainResult result = dynamic.run();
  EXPECT_EQ(result.outcome, Outcome::finished);
  EXPECT_EQ(result.report.compiles, 6U);
  // The reference engine adds up both in the same order.
  EXPECT_EQ(dynamic.losses(), six.losses());
  EXPECT_EQ(dynamic.weights(), six.weights());
}

TEST(CompileBudget, TooSmallForOneUpdateSaysWhatFits) {
  RunCase small({"engine.compile_limit=3"});
  try {
    small.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("at least 4"), std::string::npos) << error.what();
  }
  RunCase six({"engine.compile_limit=4", "engine.partition=six"});
  try {
    six.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("at least 6, or engine.partition = \"merged\""),
              std::string::npos)
        << error.what();
  }
}

TEST(CompileBudget, TheEnginesOwnCountsWhereUpdatesCompile) {
  const auto engine = engine::make_engine("reference", {});
  FakeEngine fake(*engine);
  fake.change_traits().compile_limit = 4;
  RunCase free_updates;
  free_updates.options.engine = &fake;
  EXPECT_EQ(free_updates.run_to_the_end(), 1);
  fake.change_traits().update_recompiles = true;
  RunCase compiled_updates;
  compiled_updates.options.engine = &fake;
  EXPECT_EQ(compiled_updates.run_to_the_end(), 7);
}

}  // namespace
}  // namespace anemone::test

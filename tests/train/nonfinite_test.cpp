// train.on_nonfinite: what a number that is not finite leads to, and that a rollback is part of a
// run that continues bit for bit.
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "anemone/base/error.h"
#include "anemone/engine/engines.h"
#include "anemone/train/checkpoint.h"
#include "anemone/train/metrics_compare.h"
#include "anemone/train/trainer_state.h"
#include "tests/support/numbers.h"
#include "tests/train/fake_engine.h"
#include "tests/train/run_case.h"

namespace anemone::test {
namespace {

using train::Outcome;
using Json = nlohmann::json;

// Checkpoints after each update of three steps; a fixed loss scale, which has nothing to halve.
std::vector<std::string> job(const std::string& policy) {
  return {"train.on_nonfinite=" + policy, "train.checkpoint_steps=3", "train.loss_scale=1024",
          "train.keep=1"};
}

class NonFinite : public ::testing::Test {
 protected:
  // The gradients of the third update's second step.
  static void spoil(FakeEngine& spoiled, int run = 7) {
    spoiled.spoils.push_back({"l0.ffn_bwd", "dh1", run, kInf});
  }
  std::unique_ptr<engine::Engine> engine = engine::make_engine("reference", {1});
  FakeEngine fake{*engine};
};

TEST_F(NonFinite, StopEndsTheRunWithACheckpoint) {
  spoil(fake);
  RunCase run(job("stop"));
  run.options.engine = &fake;
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(result.message,
            "update 2: non-finite: l0.dh1, written by l0.ffn_bwd; train.on_nonfinite = \"stop\"");
  EXPECT_EQ(result.step, 9U);
  RunCase before({"train.loss_scale=1024", "train.steps=6"});
  ASSERT_EQ(before.run().outcome, Outcome::finished);
  EXPECT_EQ(run.weights(), before.weights());
  // It goes on as a run that skipped the update.
  run.options.config.train.on_nonfinite = "skip";
  ASSERT_EQ(run.resume().outcome, Outcome::finished);
  FakeEngine again(*engine);
  spoil(again);
  RunCase skipped(job("skip"));
  skipped.options.engine = &again;
  ASSERT_EQ(skipped.run().outcome, Outcome::finished);
  EXPECT_TRUE(train::compare_metrics(run.metrics(), skipped.metrics()).empty());
}

TEST_F(NonFinite, ADynamicScaleIsHalvedFirst) {
  for (const char* policy : {"stop", "rollback"}) {
    FakeEngine once(*engine);
    spoil(once);
    RunCase run({std::string("train.on_nonfinite=") + policy});
    run.options.engine = &once;
    EXPECT_EQ(run.run().outcome, Outcome::finished) << policy;
    EXPECT_TRUE(run.said("update 2 discarded"));
    EXPECT_TRUE(run.lines("rollback").empty());
  }
  // At a scale of 1 it is to blame no more: ten halvings of 1024.
  for (int i = 0; i < 100; ++i) spoil(fake, i);
  RunCase run({"train.on_nonfinite=stop", "train.accumulate=1", "train.steps=100"});
  run.options.engine = &fake;
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_NE(result.message.find("update 10: non-finite"), std::string::npos) << result.message;
}

TEST_F(NonFinite, ALossThatIsNotFiniteIsNoMatterOfTheScale) {
  fake.spoils.push_back({"l0.fwd_ffn", "y", 7, kInf});
  RunCase run({"train.on_nonfinite=stop", "data.source=original"});
  run.options.engine = &fake;
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_NE(result.message.find("update 2"), std::string::npos) << result.message;
}

TEST_F(NonFinite, RollbackGoesBackAndTakesOtherData) {
  std::vector<std::string> still = job("rollback");
  still.emplace_back("train.learning_rate=0");  // the losses tell the samples then
  spoil(fake);
  RunCase run(still), whole({"train.learning_rate=0", "train.loss_scale=1024", "train.steps=19"});
  run.options.engine = &fake;
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  ASSERT_EQ(run.lines("rollback").size(), 1U);
  const Json line = Json::parse(run.lines("rollback")[0]);
  EXPECT_EQ(line.at("step"), 6);
  EXPECT_EQ(line.at("from_step"), 9);
  EXPECT_EQ(line.at("data_offset"), 3);
  const std::vector<double> losses = run.losses(), all = whole.losses();
  ASSERT_EQ(losses.size(), 16U);
  for (std::size_t step = 0; step < losses.size(); ++step)
    EXPECT_EQ(losses[step], all[step < 6 ? step : step + 3]) << step;
  // What was given up is not in the log, and none of its updates was applied.
  for (const std::string& update : run.lines("update"))
    EXPECT_FALSE(Json::parse(update).contains("skipped"));
}

TEST_F(NonFinite, RollbackRestoresWeightsAndOptimizer) {
  // One sample: the data that follows is the same, so the run is one that nothing happened to.
  std::vector<std::string> one_sample = job("rollback");
  one_sample.emplace_back("data.source=original");
  RunCase whole(one_sample), run(one_sample);
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  spoil(fake);
  run.options.engine = &fake;
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  ASSERT_EQ(run.lines("rollback").size(), 1U);
  EXPECT_EQ(run.losses(), whole.losses());
  EXPECT_EQ(run.weights(), whole.weights());
}

TEST_F(NonFinite, TooManyRollbacksInARowStop) {
  for (int i = 6; i < 100; ++i) spoil(fake, i);
  RunCase run(job("rollback"));
  run.options.engine = &fake;
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_NE(result.message.find("3 rollbacks in a row"), std::string::npos) << result.message;
  EXPECT_EQ(run.lines("rollback").size(), 3U);
  EXPECT_EQ(result.step, 9U);  // where it stopped; its last update was discarded
  // A checkpoint in between begins the count anew.
  FakeEngine other(*engine);
  for (const int i : {7, 9, 12, 19, 22}) spoil(other, i);
  RunCase often(job("rollback"));
  often.options.engine = &other;
  EXPECT_EQ(often.run().outcome, Outcome::finished);
}

TEST_F(NonFinite, WithoutACheckpointThereIsNothingToGoBackTo) {
  spoil(fake, 1);
  RunCase run(job("rollback"));
  run.options.engine = &fake;
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_NE(result.message.find("no checkpoint to go back to"), std::string::npos)
      << result.message;
}

// `stop` tells when the first process ends; runs of ffn_bwd are numbered anew in the second.
void expect_resumes(engine::Engine& engine, int steps_before,
                    const std::function<bool(const RunCase&, std::uint64_t)>& stop,
                    const RunCase& whole) {
  FakeEngine before(engine), after(engine);
  before.spoils.push_back({"l0.ffn_bwd", "dh1", 7, kInf});
  if (steps_before <= 7) after.spoils.push_back({"l0.ffn_bwd", "dh1", 7 - steps_before, kInf});
  RunCase run(job("rollback"));
  run.options.engine = &before;
  std::uint64_t done = 0;
  run.options.on_progress = [&](const train::Progress& progress) { done = progress.step; };
  run.options.pending_signal = [&] { return stop(run, done) ? SIGINT : 0; };
  ASSERT_EQ(run.run().outcome, Outcome::interrupted);
  run.options.engine = &after;
  run.options.pending_signal = nullptr;
  ASSERT_EQ(run.resume().outcome, Outcome::finished);
  const auto differences = train::compare_metrics(run.metrics(), whole.metrics());
  EXPECT_TRUE(differences.empty()) << differences.front();
  EXPECT_EQ(run.weights(), whole.weights());
}

TEST_F(NonFinite, ARunWithARollbackResumesBitForBit) {
  spoil(fake);
  RunCase whole(job("rollback"));
  whole.options.engine = &fake;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  // Before the bad step, behind it, right after the rollback, and after the next steps. A
  // checkpoint of the interrupted process in between is none to go back to.
  for (const int steps : {7, 8}) {
    SCOPED_TRACE(steps);
    expect_resumes(
        *engine, steps,
        [&](const RunCase&, std::uint64_t done) {
          return done >= static_cast<std::uint64_t>(steps);
        },
        whole);
  }
  for (const std::uint64_t steps : {0, 7, 8, 12}) {
    SCOPED_TRACE(steps);
    expect_resumes(
        *engine, 100,
        [&](const RunCase& run, std::uint64_t done) {
          return run.said("back to the checkpoint") && (steps == 0 || done == steps);
        },
        whole);
  }
}

TEST_F(NonFinite, ARollbackKeepsToTheCompileBudget) {
  spoil(fake);
  RunCase whole(job("rollback"));
  whole.options.engine = &fake;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  // Four programs at the start and at each of two updates: none are left for the rollback.
  FakeEngine limited(*engine);
  spoil(limited);
  std::vector<std::string> few = job("rollback");
  few.emplace_back("engine.compile_limit=12");
  RunCase run(few);
  run.options.engine = &limited;
  const train::TrainResult first = run.run();
  ASSERT_EQ(first.outcome, Outcome::out_of_compiles) << first.message;
  EXPECT_EQ(first.report.compiles, 12U);
  EXPECT_EQ(first.step, 6U);
  run.options.engine = engine.get();
  train::TrainResult next;
  do {
    next = run.resume();
  } while (next.outcome == Outcome::out_of_compiles);
  ASSERT_EQ(next.outcome, Outcome::finished) << next.message;
  const auto differences = train::compare_metrics(run.metrics(), whole.metrics());
  EXPECT_TRUE(differences.empty()) << differences.front();
  EXPECT_EQ(run.weights(), whole.weights());
}

// The checkpoint of a signal, after the one to go back to, is given up by the rollback; a process
// that is killed behind it goes on from the rollback, with its log.
TEST_F(NonFinite, AKillAfterARollbackLosesNothing) {
  spoil(fake);
  RunCase whole(job("rollback"));
  whole.options.engine = &fake;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  FakeEngine before(*engine);
  spoil(before);
  RunCase run(job("rollback"));
  run.options.engine = &before;
  ASSERT_EQ(run.run_until(8, /*resume=*/false).outcome, Outcome::interrupted);
  struct Killed {};
  run.options.engine = engine.get();
  run.options.on_progress = [&](const train::Progress& progress) {
    if (progress.step == 7) throw Killed();
  };
  ASSERT_THROW(run.resume(), Killed);
  ASSERT_TRUE(run.said("back to the checkpoint of step 6"));
  run.options.on_progress = nullptr;
  ASSERT_EQ(run.resume().outcome, Outcome::finished);
  EXPECT_FALSE(run.said("are lost"));
  const auto differences = train::compare_metrics(run.metrics(), whole.metrics());
  EXPECT_TRUE(differences.empty()) << differences.front();
  EXPECT_EQ(run.weights(), whole.weights());
}

TEST_F(NonFinite, WhereToGoBackToIsCorrectedOnResume) {
  std::vector<std::string> kept = job("rollback");
  kept.emplace_back("train.keep=3");
  RunCase run(kept);
  run.options.engine = engine.get();
  ASSERT_EQ(run.run_until(6, /*resume=*/false).outcome, Outcome::interrupted);
  const auto checkpoints = run.options.out / "checkpoints";
  std::filesystem::remove(checkpoints / "GOOD");  // as by a kill after LATEST
  ASSERT_EQ(run.run_until(7, /*resume=*/true).outcome, Outcome::interrupted);
  const train::CheckpointStore store(run.options.out, 3);
  EXPECT_EQ(store.marked_step(train::Mark::good), 6U);
  ASSERT_EQ(run.run_until(9, /*resume=*/true).outcome, Outcome::interrupted);
  EXPECT_EQ(store.marked_step(train::Mark::good), 9U);
  // One that is damaged is no longer where to go back to, nor is the next, made by a signal.
  std::filesystem::remove(checkpoints / "step-00000009/tensors.safetensors");
  ASSERT_EQ(run.run_until(7, /*resume=*/true).outcome, Outcome::interrupted);
  EXPECT_EQ(store.marked_step(train::Mark::good), std::nullopt);
}

TEST(BestCheckpoint, IsTheOneWithTheLowestValidationLoss) {
  RunCase run({"train.keep=1", "train.learning_rate=0.03"});
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  double best = kInf;
  std::uint64_t best_step = 0;
  for (const std::string& text : run.lines("validation")) {
    const Json line = Json::parse(text);
    if (line.at("update") == 0 || line.at("loss") >= best) continue;
    best = line.at("loss");
    best_step = line.at("step");
  }
  const auto loaded = train::CheckpointStore(run.options.out, 1).load_marked(train::Mark::best);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->directory.filename(), train::checkpoint_name(best_step));
  const train::TrainerState state = train::parse_trainer_state(loaded->state_json, "state");
  EXPECT_EQ(state.best_loss, best);
  EXPECT_EQ(state.best_step, best_step);
}

TEST(BestCheckpoint, ANameLostIsCorrectedOnResume) {
  RunCase run;
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  const auto file = run.options.out / "checkpoints/BEST";
  const auto store = train::CheckpointStore(run.options.out, 3);
  const auto best = store.load_marked(train::Mark::best)->directory;
  std::filesystem::remove(file);
  ASSERT_EQ(run.resume().outcome, Outcome::finished);
  EXPECT_EQ(store.load_marked(train::Mark::best)->directory, best);
}

TEST(BestCheckpoint, StaysWhereABetterOneCannotBeSaved) {
  RunCase run({"train.checkpoint_steps=1"});
  std::filesystem::path checkpoints, aside;
  std::uint64_t done = 0;
  run.options.on_progress = [&](const train::Progress& progress) {
    done = progress.step;
    if (done != 12) return;  // the second validation follows; its checkpoint will fail
    checkpoints = run.options.out / "checkpoints";
    aside = run.options.out / "aside";
    std::filesystem::rename(checkpoints, aside);
    std::ofstream(checkpoints) << "no folder";
  };
  run.options.pending_signal = [&] {
    if (done == 12 && run.said("the checkpoint of step 12 failed") &&
        std::filesystem::exists(aside)) {
      std::filesystem::remove(checkpoints);
      std::filesystem::rename(aside, checkpoints);
    }
    return done >= 13 ? SIGINT : 0;
  };
  ASSERT_EQ(run.run().outcome, Outcome::interrupted);
  ASSERT_TRUE(run.said("the checkpoint of step 12 failed"));
  const auto losses = run.lines("validation");
  ASSERT_EQ(losses.size(), 3U);  // of the initial weights, at step 6 and at step 12
  ASSERT_LT(Json::parse(losses[2]).at("loss"), Json::parse(losses[1]).at("loss"));
  ASSERT_EQ(run.run_until(14, /*resume=*/true).outcome, Outcome::interrupted);
  const auto best = train::CheckpointStore(run.options.out, 3).load_marked(train::Mark::best);
  ASSERT_TRUE(best.has_value());
  EXPECT_EQ(best->directory.filename(), "step-00000006");
}

TEST(BestCheckpoint, InitialWeightsMayBeARunsBest) {
  RunCase first({"train.keep=1"});
  ASSERT_EQ(first.run().outcome, Outcome::finished);
  for (const char* name : {"best", "last", ""}) {
    RunCase second;
    second.options.init = first.options.out / name;
    ASSERT_EQ(second.run().outcome, Outcome::finished) << name;
  }
}

}  // namespace
}  // namespace anemone::test

// What the trainer does at updates and when something fails.
#include "anemone/train/trainer.h"

#include <fmt/format.h>
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

class Trainer : public ::testing::Test {
 protected:
  std::unique_ptr<engine::Engine> engine = engine::make_engine("reference", {1});
  FakeEngine fake{*engine};
};

TEST_F(Trainer, MetricsCountStepsAndUpdates) {
  RunCase run;
  const train::TrainResult result = run.run();
  ASSERT_EQ(result.outcome, Outcome::finished);
  EXPECT_EQ(run.lines("step").size(), 16U);
  const std::vector<Json> updates = run.updates();
  ASSERT_EQ(updates.size(), 6U);
  for (std::size_t i = 0; i < updates.size(); ++i) {
    EXPECT_EQ(updates[i].at("update"), i);
    EXPECT_EQ(updates[i].at("step"), std::min<std::size_t>(3 * i + 2, 15));
    EXPECT_EQ(updates[i].at("accumulated"), i == 5 ? 1 : 3);
    EXPECT_GT(updates[i].at("grad_norm"), 0);
  }
  // Before the first step, after every second update, and at the end (which is the sixth update).
  EXPECT_EQ(run.lines("validation").size(), 4U);
  EXPECT_EQ(result.report.updates, 6U);
  EXPECT_EQ(result.report.first_loss, run.losses().front());
  EXPECT_EQ(result.report.last_loss, run.losses().back());
  EXPECT_GT(result.report.utilization, 0);
  EXPECT_TRUE(std::filesystem::exists(run.options.out / "report.json"));
  EXPECT_TRUE(std::filesystem::exists(run.options.out / "config.toml"));
}

TEST_F(Trainer, TheLossScaleGrowsAndDoesNotChangeTheGradient) {
  RunCase dynamic, fixed({"train.loss_scale=1024"});
  ASSERT_EQ(dynamic.run().outcome, Outcome::finished);
  ASSERT_EQ(fixed.run().outcome, Outcome::finished);
  EXPECT_EQ(dynamic.updates()[4].at("loss_scale"), 4096);
  EXPECT_EQ(fixed.updates()[4].at("loss_scale"), 1024);
  // A power of two shifts exponents only, save where fp16 runs out of them.
  const double eps = std::ldexp(1.0, -11);
  for (int i = 0; i < 6; ++i) {
    const double a = dynamic.updates()[i].at("grad_norm"), b = fixed.updates()[i].at("grad_norm");
    EXPECT_NEAR(a, b, 8 * eps * a) << i;
  }
}

TEST_F(Trainer, AccumulatingTheSameSampleChangesNothingButRounding) {
  // Twelve equal gradients, summed in fp32 and divided: each sum rounds once.
  const std::vector<std::string> job = {"data.source=original", "train.validate_every=0"};
  std::vector<std::string> one = job, twelve = job;
  one.insert(one.end(), {"train.accumulate=1", "train.steps=4"});
  twelve.insert(twelve.end(),
                {"train.accumulate=12", "train.steps=40"});  // the last update has four
  RunCase single(one), many(twelve);
  ASSERT_EQ(single.run().outcome, Outcome::finished);
  ASSERT_EQ(many.run().outcome, Outcome::finished);
  for (std::size_t update = 0; update < 4; ++update) {
    const Json a = single.updates()[update], b = many.updates()[update];
    EXPECT_EQ(b.at("accumulated"), update == 3 ? 4 : 12);
    const double norm = a.at("grad_norm"), loss = a.at("loss");
    if (update == 0) {
      // The same weights: only the sum of twelve rounds.
      EXPECT_NEAR(norm, b.at("grad_norm").get<double>(), 12 * std::ldexp(1.0, -24) * norm);
      EXPECT_EQ(loss, b.at("loss").get<double>());
    }
    // Weights that differ in the last bits of fp32 are mostly the same in fp16; one in another
    // place moves the loss by less than fp16 resolves.
    EXPECT_NEAR(loss, b.at("loss").get<double>(), std::ldexp(1.0, -11) * loss);
  }
}

TEST_F(Trainer, OverflowDiscardsTheUpdateAndNamesTheTensor) {
  fake.spoils.push_back({"l0.ffn_bwd", "dh1", 4, kInf});
  RunCase run, whole;
  run.options.engine = &fake;
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  const std::vector<Json> updates = run.updates();
  EXPECT_EQ(updates[1].at("skipped"), "non-finite: l0.dh1, written by l0.ffn_bwd");
  EXPECT_EQ(updates[1].at("loss_scale"), 1024);
  EXPECT_EQ(updates[2].at("loss_scale"), 512);
  EXPECT_TRUE(run.said("step 4: a non-finite number, first in l0.dh1"));
  EXPECT_TRUE(run.said("which is now and then too large"));
  // The weights stayed: the third update begins as the second did in the other run.
  EXPECT_FALSE(updates[0].contains("skipped"));
  EXPECT_FALSE(updates[2].contains("skipped"));
  const auto loaded = train::CheckpointStore(run.options.out, 1).load_latest();
  const train::TrainerState state = train::parse_trainer_state(loaded->state_json, "test");
  EXPECT_EQ(state.adam_t, 5U);
  EXPECT_EQ(state.update, 6U);
  EXPECT_EQ(state.skipped_updates, 1U);
}

TEST_F(Trainer, DiscardedUpdateLeavesWeightsBitForBit) {
  RunCase before({"train.steps=3"});
  ASSERT_EQ(before.run().outcome, Outcome::finished);
  fake.spoils.push_back({"l0.attn_bwd", "dq", 3, std::nan("")});
  RunCase spoiled({"train.steps=6"});
  spoiled.options.engine = &fake;
  ASSERT_EQ(spoiled.run().outcome, Outcome::finished);
  EXPECT_EQ(spoiled.weights(), before.weights());
}

TEST_F(Trainer, ANonFiniteLossIsNamedToo) {
  fake.spoils.push_back({"l0.fwd_ffn", "h1", 0, std::nan("")});
  fake.spoils.push_back({"l0.fwd_ffn", "y", 0, kInf});
  RunCase run({"data.source=original"});
  run.options.engine = &fake;
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  EXPECT_TRUE(run.said("step 0: a non-finite number, first in l0."));
  EXPECT_FALSE(run.said("now and then too large"));  // the loss does not depend on the scale
  EXPECT_EQ(Json::parse(run.lines("step")[0]).at("loss"), "inf");
}

TEST_F(Trainer, AnAllZeroGradientRaisesTheScale) {
  for (int step = 0; step < 3; ++step) fake.spoils.push_back({"l0.loss", "dy", step, 0});
  RunCase run({"data.source=original"});
  run.options.engine = &fake;
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  const std::vector<Json> updates = run.updates();
  EXPECT_EQ(updates[0].at("skipped"), "the gradient is all zero");
  EXPECT_EQ(updates[1].at("loss_scale"), 2048);
}

TEST_F(Trainer, EndlessOverflowStops) {
  for (int run = 0; run < 400; ++run) fake.spoils.push_back({"l0.loss", "dy", run, kInf});
  RunCase run({"data.source=original", "train.accumulate=1", "train.steps=400"});
  run.options.engine = &fake;
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_NE(result.message.find("in a row were discarded"), std::string::npos) << result.message;
  EXPECT_NE(result.message.find("written by l0."), std::string::npos) << result.message;
}

TEST_F(Trainer, AFailingProgramEndsTheRunWithItsNameAndTheRunGoesOnLater) {
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  fake.on_run = [](const std::string& kernel, int run) {
    return kernel == "l0.ffn_bwd" && run == 7 ? Status::failure("the engine hung up") : Status();
  };
  RunCase run({"train.checkpoint_steps=2"});
  run.options.engine = &fake;
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(result.message, "l0.ffn_bwd: the engine hung up");
  EXPECT_EQ(result.step, 6U);
  EXPECT_EQ(result.steps_lost, 1U);  // its gradient may hold a part of the failed step's
  run.options.engine = nullptr;
  ASSERT_EQ(run.resume().outcome, Outcome::finished);
  EXPECT_TRUE(train::compare_metrics(run.metrics(), whole.metrics()).empty());
}

TEST_F(Trainer, AFailureBetweenUpdatesLosesNothing) {
  fake.on_run = [](const std::string& kernel, int run) {
    return kernel == "l0.ffn_bwd" && run == 9 ? Status::failure("the engine hung up") : Status();
  };
  RunCase run;
  run.options.engine = &fake;
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(result.step, 9U);
  EXPECT_EQ(result.steps_lost, 0U);
}

TEST_F(Trainer, ACompileThatFailsTwiceTheSameWayStops) {
  int failures = 0;
  fake.on_update = [&](const std::string& kernel) {
    if (kernel != "l0.fwd_ffn") return Status();
    ++failures;
    return Status::failure("no such instruction");
  };
  RunCase run;
  run.options.engine = &fake;
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(failures, 2);
  EXPECT_NE(result.message.find("twice the same way: l0.fwd_ffn: no such instruction"),
            std::string::npos)
      << result.message;
  // What was learned is kept: only the programs have not got it.
  EXPECT_EQ(result.step, 3U);
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  run.options.engine = nullptr;
  ASSERT_EQ(run.resume().outcome, Outcome::finished);
  EXPECT_TRUE(train::compare_metrics(run.metrics(), whole.metrics()).empty());
}

TEST_F(Trainer, ACompileThatFailsOnceIsTriedAgain) {
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  int calls = 0;
  fake.on_update = [&](const std::string& kernel) {
    return kernel == "l0.fwd_ffn" && calls++ == 1 ? Status::failure("busy") : Status();
  };
  RunCase run;
  run.options.engine = &fake;
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  EXPECT_TRUE(run.said("is tried again"));
  EXPECT_TRUE(train::compare_metrics(run.metrics(), whole.metrics()).empty());
}

TEST_F(Trainer, EndlesslyDifferentCompileFailuresStopToo) {
  int calls = 0;
  fake.on_update = [&](const std::string&) {
    return Status::failure(fmt::format("failure {}", ++calls));
  };
  RunCase run;
  run.options.engine = &fake;
  EXPECT_EQ(run.run().outcome, Outcome::failed);
  EXPECT_LT(calls, 10);
}

TEST_F(Trainer, GradientsInTheBackgroundAreTheSameBitForBit) {
  // The host's own engine, so that glue and labels are the same beside the fake.
  const auto host = engine::make_engine("auto", {1});
  RunCase inline_run;
  inline_run.options.engine = host.get();
  ASSERT_EQ(inline_run.run().outcome, Outcome::finished);
  FakeEngine accelerator(*host);
  accelerator.change_traits().runs_on_host = false;
  RunCase background;
  background.options.engine = &accelerator;
  ASSERT_EQ(background.run().outcome, Outcome::finished);
  const auto differences = train::compare_metrics(background.metrics(), inline_run.metrics());
  EXPECT_TRUE(differences.empty()) << differences.front();
  EXPECT_EQ(background.weights(), inline_run.weights());
}

TEST_F(Trainer, PackedPortsChangeNothing) {
  RunCase plain, packed({"engine.pack_io=true"});
  ASSERT_EQ(plain.run().outcome, Outcome::finished);
  ASSERT_EQ(packed.run().outcome, Outcome::finished);
  const auto differences = train::compare_metrics(packed.metrics(), plain.metrics());
  EXPECT_TRUE(differences.empty()) << differences.front();
  EXPECT_EQ(packed.weights(), plain.weights());
}

TEST_F(Trainer, PackedPortsBesideAHostAreTheSameToo) {
  const auto host = engine::make_engine("auto", {1});
  RunCase plain({"engine.partition=six"});
  plain.options.engine = host.get();
  ASSERT_EQ(plain.run().outcome, Outcome::finished);
  FakeEngine accelerator(*host);
  accelerator.change_traits().runs_on_host = false;
  accelerator.change_traits().packed_io = true;
  RunCase packed({"engine.partition=six"});
  packed.options.engine = &accelerator;
  ASSERT_EQ(packed.run().outcome, Outcome::finished);
  const auto differences = train::compare_metrics(packed.metrics(), plain.metrics());
  EXPECT_TRUE(differences.empty()) << differences.front();
}

// A process gets on by one step, or by one sample of a validation: the first one is bounded, too.
TEST_F(Trainer, TimeIsUpAfterASampleAtLeast) {
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  RunCase run({"train.max_minutes=1e-9"});
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::time_is_up);
  EXPECT_EQ(result.message,
            "train.max_minutes = 1e-09 is up after 0 steps, in a validation (1 of 2 samples)");
  EXPECT_EQ(result.step, 0U);
  EXPECT_TRUE(result.has_checkpoint);
  // 16 steps, and four validations of two samples.
  EXPECT_EQ(run.run_to_the_end(), 16 + 4 * 2);
  EXPECT_TRUE(train::compare_metrics(run.metrics(), whole.metrics()).empty());
}

TEST_F(Trainer, AFailingCheckpointIsReportedAndTrainingGoesOn) {
  RunCase run({"train.checkpoint_steps=2"});
  run.options.on_progress = [&](const train::Progress& progress) {
    const std::filesystem::path folder = run.options.out / "checkpoints";
    if (progress.step == 5) {
      // A file where the folder was: no checkpoint can be written.
      std::filesystem::rename(folder, run.options.out / "aside");
      std::ofstream(folder) << "in the way";
    }
    if (progress.step == 9) {
      std::filesystem::remove(folder);
      std::filesystem::rename(run.options.out / "aside", folder);
    }
  };
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  EXPECT_TRUE(run.said("the checkpoint of step 6 failed"));
  EXPECT_TRUE(run.said("training goes on, the checkpoint of step 4 stands"));
  EXPECT_TRUE(run.said("the checkpoint of step 8 failed"));
  EXPECT_FALSE(run.said("the checkpoint of step 10 failed"));
}

TEST_F(Trainer, AFailingLastCheckpointFailsTheRun) {
  RunCase run({"train.validate_every=0"});
  run.options.on_progress = [&](const train::Progress& progress) {
    if (progress.step == 16) std::ofstream(run.options.out / "checkpoints") << "in the way";
  };
  const train::TrainResult result = run.run();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_NE(result.message.find("the checkpoint of step 16 failed"), std::string::npos);
  EXPECT_FALSE(result.has_checkpoint);
  EXPECT_EQ(result.steps_lost, 16U);
}

TEST_F(Trainer, InitialWeightsFromACheckpoint) {
  RunCase first;
  ASSERT_EQ(first.run().outcome, Outcome::finished);
  RunCase second({"train.steps=1", "train.learning_rate=0"});
  second.options.init = train::CheckpointStore(first.options.out, 1).load_latest()->directory;
  ASSERT_EQ(second.run().outcome, Outcome::finished);
  EXPECT_EQ(second.weights(), first.weights());
}

TEST_F(Trainer, InitialWeightsOfAnotherShapeAreNamedAndLeaveNoFolder) {
  RunCase first;
  ASSERT_EQ(first.run().outcome, Outcome::finished);
  RunCase other({"model.hidden=24"});
  other.options.init = train::CheckpointStore(first.options.out, 1).load_latest()->directory;
  try {
    other.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(other.options.init.string()), std::string::npos)
        << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(other.options.out));
}

// While samples are labelled, before the first validation.
TEST_F(Trainer, AnEarlySignalStopsSoonAndLeavesNoFolder) {
  for (const int polls : {0, 3, 8, 9}) {
    SCOPED_TRACE(polls);
    RunCase run;
    int polled = 0;
    run.options.pending_signal = [&] { return polled++ >= polls ? SIGTERM : 0; };
    const train::TrainResult result = run.run();
    EXPECT_EQ(result.outcome, Outcome::interrupted);
    EXPECT_EQ(result.signal, SIGTERM);
    EXPECT_FALSE(result.has_checkpoint);
    EXPECT_LE(polled, polls + 2);
    EXPECT_FALSE(std::filesystem::exists(run.options.out));
  }
}

// What was validated before the first step is not lost either, nor that it was.
TEST_F(Trainer, ASignalInOrBehindTheFirstValidationLeavesACheckpoint) {
  RunCase whole;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  for (const int polls : {10, 11}) {
    SCOPED_TRACE(polls);
    RunCase run;
    int polled = 0;
    run.options.pending_signal = [&] { return polled++ >= polls ? SIGINT : 0; };
    const train::TrainResult result = run.run();
    EXPECT_EQ(result.outcome, Outcome::interrupted);
    EXPECT_TRUE(result.has_checkpoint);
    EXPECT_EQ(result.step, 0U);
    EXPECT_EQ(result.message, polls == 10 ? "stopped by a signal after 0 steps, in a validation "
                                            "(1 of 2 samples)"
                                          : "stopped by a signal after 0 steps");
    EXPECT_EQ(run.lines("validation").size(), polls == 10 ? 0U : 1U);
    run.options.pending_signal = nullptr;
    ASSERT_EQ(run.resume().outcome, Outcome::finished);
    EXPECT_EQ(train::compare_metrics(run.metrics(), whole.metrics()), std::vector<std::string>{});
    EXPECT_EQ(train::CheckpointStore(run.options.out, 3).marked_step(train::Mark::best),
              train::CheckpointStore(whole.options.out, 3).marked_step(train::Mark::best));
  }
}

TEST_F(Trainer, ASignalInAValidationLeavesItDue) {
  RunCase whole, run;
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  // Once the last step is done, only the last validation is left.
  ASSERT_EQ(run.run_until(16, false).outcome, Outcome::interrupted);
  EXPECT_EQ(run.lines("validation").size(), 3U);
  ASSERT_EQ(run.resume().outcome, Outcome::finished);
  EXPECT_EQ(train::compare_metrics(run.metrics(), whole.metrics()), std::vector<std::string>{});
}

TEST_F(Trainer, SeedsDecideWeightsAndOrder) {
  RunCase a, again, other({"train.seed=43"});
  for (RunCase* run : {&a, &again, &other}) ASSERT_EQ(run->run().outcome, Outcome::finished);
  EXPECT_EQ(a.losses(), again.losses());
  EXPECT_NE(a.losses()[0], other.losses()[0]);
}

}  // namespace
}  // namespace anemone::test

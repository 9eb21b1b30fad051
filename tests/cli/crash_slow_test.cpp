// The promise of resume, kept by the real program: whatever ends it (kill -9 at a random time, a
// failing or full disk at any file operation of a save), `anemone train --resume` continues bit for
// bit: the metrics of the interrupted run are those of an uninterrupted one, times aside.
//
// $ANEMONE_KILLS sets the number of kills (default 20), $ANEMONE_EXHAUSTIVE tries every file
// operation instead of one in kStride.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "anemone/base/file.h"
#include "anemone/train/checkpoint.h"
#include "anemone/train/metrics_compare.h"
#include "tests/support/process.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"
#include "tests/tools/io_fault.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;
using Seconds = std::chrono::duration<double>;
using test::Process;
using test::io_fault::Kind;

// Small, so that a step takes about a millisecond. The loss scale starts too high, so that
// discarded updates are among what must be repeated.
constexpr const char* kShape = R"([model]
dim = 32
hidden = 64
heads = 2
seq = 16
)";
constexpr const char* kLayer = R"(
[data]
source = "teacher"
samples = 7
held_out = 2
)";
// With samples of text, which are part of what must be repeated. The path follows.
constexpr const char* kLanguageModel = R"(layers = 2
vocab = 256
rope = "pairs"

[data]
source = "text"
validation_fraction = 0.1
)";
constexpr const char* kTraining = R"(
[train]
accumulate = 4
validate_every = 5
sample_tokens = 8
initial_loss_scale = 16777216
loss_scale_growth_interval = 10
checkpoint_minutes = 0
)";

std::size_t from_environment(const char* name, std::size_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoul(text, nullptr, 10);
}

class Crash : public ::testing::Test {
 protected:
  void SetUp() override { write("run.toml", std::string(kShape) + kLayer + kTraining); }

  void write(const std::string& name, const std::string& text) const {
    const Status status = write_file_atomically(folder_.path() / name, text);
    ASSERT_EQ(status.message, "");
  }

  // In place of the layer.
  void take_language_model() const {
    std::string text;
    for (int i = 0; i < 60; ++i) text += fmt::format("{} times {} is {}.\n", i, i + 1, i * (i + 1));
    write("text.txt", text);
    write("run.toml", std::string(kShape) + kLanguageModel +
                          fmt::format("path = \"{}\"\n", (folder_.path() / "text.txt").string()) +
                          kTraining);
  }

  // Where the program keeps token ids: not among the user's own.
  Process::Environment environment() const { return {{"XDG_CACHE_HOME", folder_.path().string()}}; }

  fs::path run_folder(const std::string& name) const { return folder_.path() / name; }

  // The first process of a run, or one that goes on with it.
  std::vector<std::string> command(const fs::path& run) const {
    std::vector<std::string> words = {test::program_path().string(), "train"};
    words.insert(words.end(), {"--config", (folder_.path() / "run.toml").string()});
    words.insert(words.end(), {"--steps", std::to_string(steps_)});
    words.insert(words.end(), {"--set", "train.checkpoint_steps=" + std::to_string(cadence_)});
    words.insert(words.end(), {"--set", "train.keep=2", "--out", run.string()});
    if (compile_limit_ > 0) {
      words.insert(words.end(),
                   {"--set", "engine.compile_limit=" + std::to_string(compile_limit_)});
    }
    if (fs::exists(run)) words.emplace_back("--resume");
    return words;
  }

  void finish(const fs::path& run) {
    Process process(command(run), environment());
    ASSERT_EQ(process.wait(), 0) << process.output();
  }

  void expect_same_as_reference(const fs::path& run) {
    const auto differences =
        compare_metrics(run_folder("reference") / "metrics.jsonl", run / "metrics.jsonl");
    EXPECT_TRUE(differences.empty()) << differences[0];
  }

  test::TemporaryDirectory folder_;
  int steps_ = 0, cadence_ = 0;
  int compile_limit_ = 0;  // 0 = none; with one the program re-executes itself now and then
};

// How long a process takes before its first step, and for all steps.
struct Timing {
  Seconds start{0}, steps{0};
};

class KillAtRandom : public Crash {
 protected:
  void run_reference() {
    const auto started = std::chrono::steady_clock::now();
    const fs::path run = run_folder("reference");
    Process process(command(run), environment());
    const fs::path first_checkpoint = run / "checkpoints/LATEST";
    while (process.running() && !fs::exists(first_checkpoint)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    timing_.start = std::chrono::steady_clock::now() - started;
    ASSERT_EQ(process.wait(), 0) << process.output();
    timing_.steps = std::chrono::steady_clock::now() - started - timing_.start;
  }

  // Kills one process of the run at a random time; true if it had finished before. The first
  // process may die before it saved anything; a later one that must begin again is left alive until
  // it has, however slow the machine is, so that most others resume beyond step 0.
  bool live_and_die(const fs::path& run, bool first) {
    const fs::path saved = run / "checkpoints/LATEST";
    const bool resumes = fs::exists(saved);
    ++(resumes ? resumed_ : begun_);
    Process process(command(run), environment());
    while (!resumes && !first && process.running() && !fs::exists(saved)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    // Anywhere from its start to several checkpoints later.
    const double start = timing_.start.count();
    std::uniform_real_distribution<double> moment(0.1 * start,
                                                  2.2 * start + timing_.steps.count() / 10);
    std::this_thread::sleep_for(Seconds(moment(random_)));
    if (!process.running()) {
      EXPECT_EQ(process.wait(), 0) << process.output();
      return true;
    }
    process.signal(SIGKILL);
    EXPECT_EQ(process.wait(), 128 + SIGKILL);
    ++kills_;
    EXPECT_NO_THROW((void)CheckpointStore(run, 2).load_latest());
    return false;
  }

  void kill_again_and_again();

  Timing timing_;
  std::size_t kills_ = 0, resumed_ = 0, begun_ = 0;  // processes that were to be killed
  std::mt19937_64 random_{std::random_device{}()};
};

void KillAtRandom::kill_again_and_again() {
  steps_ = 4000;
  cadence_ = 3;
  const std::size_t wanted = from_environment("ANEMONE_KILLS", 20);
  const auto seed = from_environment("ANEMONE_SEED", std::random_device{}());
  random_.seed(seed);
  run_reference();
  // About ten re-executions in a whole run.
  constexpr int kCompileLimit = 400;
  int round = 0;
  for (; kills_ < wanted; ++round) {
    const fs::path run = run_folder("round" + std::to_string(round));
    compile_limit_ = round % 2 == 1 ? kCompileLimit : 0;
    for (bool first = true; kills_ < wanted && !live_and_die(run, first); first = false) {
    }
    finish(run);
    expect_same_as_reference(run);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    fs::remove_all(run);
  }
  EXPECT_LE(begun_, 2 * static_cast<std::size_t>(round));
  std::cout << kills_ << " kills in " << round << " runs of " << steps_ << " steps; " << resumed_
            << " of the " << resumed_ + begun_ << " processes had resumed beyond step 0; seed "
            << seed << "\n";
}

TEST_F(KillAtRandom, ALayerResumesBitForBit) { kill_again_and_again(); }

TEST_F(KillAtRandom, ALanguageModelResumesBitForBit) {
  take_language_model();
  kill_again_and_again();
  EXPECT_NE(read_text_file(run_folder("reference") / "metrics.jsonl").find(R"("type":"sample")"),
            std::string::npos);
}

class DiskFault : public Crash {
 protected:
  void SetUp() override {
    Crash::SetUp();
    steps_ = 13;
    cadence_ = 5;  // in the middle of an accumulation
    if (!fs::exists(test::io_fault_library())) GTEST_SKIP() << "no fault injector here";
    finish(run_folder("reference"));
  }

  // Runs with the fault; the exit code.
  int run_with_fault(const fs::path& run, long at, Kind kind, const fs::path& count = {}) {
    Process process(command(run), {{"LD_PRELOAD", test::io_fault_library().string()},
                                   {"ASAN_OPTIONS", "verify_asan_link_order=0"},
                                   {"ANEMONE_IO_FAULT", (run / "checkpoints").string() + ":" +
                                                            std::to_string(at) + ":" +
                                                            std::to_string(static_cast<int>(kind))},
                                   {"ANEMONE_IO_FAULT_COUNT", count.string()}});
    return process.wait();
  }

  void fault_at_every_call(Kind kind, const std::vector<int>& allowed_codes) {
    constexpr long kStride = 7;
    const long stride = std::getenv("ANEMONE_EXHAUSTIVE") != nullptr ? 1 : kStride;
    const fs::path count_file = folder_.path() / "count";
    ASSERT_EQ(run_with_fault(run_folder("counted"), 0, kind, count_file), 0);
    const long calls = std::stol(read_text_file(count_file));
    ASSERT_GT(calls, 40);
    for (long at = 1; at <= calls; at += stride) {
      SCOPED_TRACE("file operation " + std::to_string(at) + " of " + std::to_string(calls));
      const fs::path run = run_folder("fault" + std::to_string(at));
      const int code = run_with_fault(run, at, kind);
      EXPECT_TRUE(std::find(allowed_codes.begin(), allowed_codes.end(), code) !=
                  allowed_codes.end())
          << "exit code " << code;
      ASSERT_NO_FATAL_FAILURE(finish(run));
      expect_same_as_reference(run);
      fs::remove_all(run);
    }
    std::cout << "faults at " << (calls + stride - 1) / stride << " of " << calls
              << " file operations\n";
  }
};

TEST_F(DiskFault, AnErrorAtOneOperationOfASave) { fault_at_every_call(Kind::error_once, {0, 1}); }

TEST_F(DiskFault, AFullDiskFromAnOperationOn) { fault_at_every_call(Kind::full_disk, {0, 1}); }

TEST_F(DiskFault, AKillBeforeAnOperation) { fault_at_every_call(Kind::kill, {128 + SIGKILL}); }

}  // namespace
}  // namespace anemone::train

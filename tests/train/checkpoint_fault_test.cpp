// Every file operation of a save fails once, finds the disk full, or is the last one before a kill:
// whatever happens, a checkpoint that was there stays usable and the next save works.
//
// The test starts itself again with the fault injector preloaded (tests/tools/io_fault.h).
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>
#include <set>
#include <sstream>

#include "anemone/train/checkpoint.h"
#include "tests/support/process.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"
#include "tests/tools/io_fault.h"
#include "tests/train/sample_checkpoint.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;
using Fault = test::io_fault::Kind;

constexpr int kKeep = 2;
constexpr std::uint64_t kNewStep = 30;

// What is in the run folder before the save that meets the fault.
struct Scenario {
  const char* name;
  std::function<void(const fs::path& run)> prepare;
};

void must_save(const fs::path& run, std::uint64_t step, std::uint64_t seed = 0,
               std::vector<Mark> marks = {}) {
  const SampleCheckpoint sample(step, seed);
  CheckpointContents contents = sample.contents();
  contents.marks = std::move(marks);
  const Status status = CheckpointStore(run, kKeep).save(contents);
  ASSERT_EQ(status.message, "");
}

const Scenario kScenarios[] = {
    {"first save", [](const fs::path&) {}},
    {"second save", [](const fs::path& run) { must_save(run, 20); }},
    {"save that removes an old one",
     [](const fs::path& run) {
       must_save(run, 10);
       must_save(run, 20);
     }},
    {"leftovers of a crash",
     [](const fs::path& run) {
       must_save(run, 20);
       fs::create_directories(run / "checkpoints/step-00000030.tmp/state.json");
       fs::create_directories(run / "checkpoints/step-00000020.old.tmp");
     }},
    {"another best one, kept apart",
     [](const fs::path& run) {
       must_save(run, 5, 0, {Mark::best});
       must_save(run, 10);
       must_save(run, 20);
     }},
    {"the best one again",
     [](const fs::path& run) { must_save(run, kNewStep, /*seed=*/1, {Mark::best}); }},
    {"same step again", [](const fs::path& run) { must_save(run, kNewStep, /*seed=*/1); }},
};

class CheckpointFault : public ::testing::Test {
 protected:
  void SetUp() override {
    arm_ = reinterpret_cast<test::io_fault::Arm>(::dlsym(RTLD_DEFAULT, test::io_fault::kArm));
    disarm_ =
        reinterpret_cast<test::io_fault::Disarm>(::dlsym(RTLD_DEFAULT, test::io_fault::kDisarm));
  }

  // Starts this very test in a process with the injector; true if there it is now.
  bool injector_is_here() {
    if (arm_ != nullptr) return true;
    const fs::path library = test::io_fault_library();
    if (!fs::exists(library)) return false;
    const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    test::Process process(
        {"/proc/self/exe", "--gtest_filter=CheckpointFault." + name},
        {{"LD_PRELOAD", library.string()}, {"ASAN_OPTIONS", "verify_asan_link_order=0"}});
    EXPECT_EQ(process.wait(), 0) << process.output();
    return false;
  }

  long calls_of_a_save(const Scenario& scenario) {
    const test::TemporaryDirectory run;
    scenario.prepare(run.path());
    arm_(run.path().c_str(), 0, 0);
    const Status status = new_one_.save_to(run.path());
    const long calls = disarm_();
    EXPECT_EQ(status.message, "");
    return calls;
  }

  struct NewCheckpoint {
    SampleCheckpoint sample{kNewStep};
    Status save_to(const fs::path& run) const {
      CheckpointContents contents = sample.contents();
      contents.marks = {Mark::best};
      return CheckpointStore(run, kKeep).save(contents);
    }
  };

  // The best one too: that from before or the new one, never none and never a damaged one.
  void expect_best_usable(const fs::path& run, const fs::path& before, bool saved) {
    std::optional<LoadedCheckpoint> best;
    ASSERT_NO_THROW(best = CheckpointStore(run, kKeep).load_marked(Mark::best));
    if (best && new_one_.sample.difference(*best).empty()) return;
    EXPECT_FALSE(saved) << "the save succeeded, but another checkpoint is the best";
    const auto previous = CheckpointStore(before, kKeep).load_marked(Mark::best);
    ASSERT_EQ(best.has_value(), previous.has_value());
    if (best) {
      EXPECT_EQ(best->state_json, previous->state_json);
    }
  }

  // What was there before, or the new one; the new one for sure if the save said so.
  void expect_usable(const fs::path& run, const fs::path& before, bool saved) {
    expect_best_usable(run, before, saved);
    std::optional<LoadedCheckpoint> loaded;
    ASSERT_NO_THROW(loaded = CheckpointStore(run, kKeep).load_latest());
    if (loaded && new_one_.sample.difference(*loaded).empty()) return;
    EXPECT_FALSE(saved) << "the save succeeded, but another checkpoint is loaded";
    const auto previous = CheckpointStore(before, kKeep).load_latest();
    ASSERT_EQ(loaded.has_value(), previous.has_value());
    if (!loaded) return;
    EXPECT_EQ(loaded->state_json, previous->state_json);
  }

  void expect_next_save_works(const fs::path& run) {
    const SampleCheckpoint next(kNewStep + 10);
    ASSERT_EQ(CheckpointStore(run, kKeep).save(next.contents()).message, "");
    const auto loaded = CheckpointStore(run, kKeep).load_latest();
    ASSERT_TRUE(loaded.has_value());
    EXPECT_EQ(next.difference(*loaded), "");
    EXPECT_TRUE(loaded->refused.empty());
    int checkpoints = 0;
    for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
      const std::string name = entry.path().filename().string();
      EXPECT_EQ(name.find(".tmp"), std::string::npos) << name << " stayed behind";
      checkpoints += name.starts_with("step-");
    }
    EXPECT_LE(checkpoints, kKeep + 1);  // the newest, and the best
  }

  // Runs `save` with the fault at each call in turn; returns how many there were.
  template <typename Save>
  long at_every_call(const Scenario& scenario, Fault kind, Save save) {
    const long calls = calls_of_a_save(scenario);
    const test::TemporaryDirectory before;
    scenario.prepare(before.path());
    for (long at = 1; at <= calls; ++at) {
      SCOPED_TRACE(std::string(scenario.name) + ", call " + std::to_string(at) + " of " +
                   std::to_string(calls));
      const test::TemporaryDirectory run;
      scenario.prepare(run.path());
      const bool saved = save(run.path(), at, kind);
      expect_usable(run.path(), before.path(), saved);
      expect_next_save_works(run.path());
    }
    return calls;
  }

  bool save_here(const fs::path& run, long at, Fault kind) {
    arm_(run.c_str(), at, static_cast<int>(kind));
    const Status status = new_one_.save_to(run);
    disarm_();
    return status.ok();
  }

  bool save_and_die(const fs::path& run, long at, Fault kind) {
    const pid_t child = ::fork();
    if (child == 0) {
      save_here(run, at, kind);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the fault was not met";
    return false;
  }

  test::io_fault::Arm arm_ = nullptr;
  test::io_fault::Disarm disarm_ = nullptr;
  NewCheckpoint new_one_;
};

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST_F(CheckpointFault, AnErrorAtEveryCall) {
  if (!injector_is_here()) return;
  const std::size_t descriptors = open_descriptors();
  long calls = 0;
  for (const Scenario& scenario : kScenarios) {
    calls += at_every_call(
        scenario, Fault::error_once,
        [&](const fs::path& run, long at, Fault kind) { return save_here(run, at, kind); });
  }
  EXPECT_GT(calls, 100);
  EXPECT_EQ(open_descriptors(), descriptors) << "descriptors leak";
}

TEST_F(CheckpointFault, AFullDiskFromEveryCallOn) {
  if (!injector_is_here()) return;
  for (const Scenario& scenario : kScenarios) {
    at_every_call(scenario, Fault::full_disk, [&](const fs::path& run, long at, Fault kind) {
      return save_here(run, at, kind);
    });
  }
}

TEST_F(CheckpointFault, AKillBeforeEveryCall) {
  if (!injector_is_here()) return;
  for (const Scenario& scenario : kScenarios) {
    at_every_call(scenario, Fault::kill, [&](const fs::path& run, long at, Fault kind) {
      return save_and_die(run, at, kind);
    });
  }
}

// What a loss of power may undo at some point of a trace: a file's contents until it is synced, a
// name (made or renamed) until its folder is.
class NotYetDurable {
 public:
  void see(const std::string& call, const fs::path& path, const fs::path& other) {
    if (call == "write" || call == "create") contents_.insert(path);
    if (call == "create" || call == "mkdir") names_.insert(path);
    if (call == "rename") names_.insert(other);
    if (call != "fsync") return;
    contents_.erase(path);
    for (auto name = names_.begin(); name != names_.end();) {
      name = name->parent_path() == path ? names_.erase(name) : std::next(name);
    }
  }
  // The file, or something in the folder.
  bool touches(const fs::path& place) const {
    const auto inside = [&](const fs::path& path) { return path.parent_path() == place; };
    return contents_.count(place) > 0 || std::any_of(contents_.begin(), contents_.end(), inside) ||
           std::any_of(names_.begin(), names_.end(), inside);
  }
  bool has_name(const fs::path& path) const { return names_.count(path) > 0; }

 private:
  std::set<fs::path> contents_, names_;
};

TEST_F(CheckpointFault, NothingIsNamedBeforeItIsSynced) {
  if (!injector_is_here()) return;
  const auto trace =
      reinterpret_cast<test::io_fault::Trace>(::dlsym(RTLD_DEFAULT, test::io_fault::kTrace));
  for (const Scenario& scenario : kScenarios) {
    SCOPED_TRACE(scenario.name);
    const test::TemporaryDirectory run;
    scenario.prepare(run.path());
    EXPECT_TRUE(save_here(run.path(), 0, Fault::error_once));
    const fs::path checkpoints = run.path() / "checkpoints";
    const fs::path latest = checkpoints / "LATEST", newest = checkpoints / "step-00000030";
    NotYetDurable lost;
    std::set<fs::path> named;
    std::istringstream calls(trace());
    for (std::string line; std::getline(calls, line);) {
      std::istringstream words(line);
      std::string call, path, other;
      words >> call >> path >> other;
      if (call == "rename") {
        EXPECT_FALSE(lost.touches(path)) << "not synced before: " << line;
        if (other == latest) {
          EXPECT_FALSE(lost.has_name(newest)) << "LATEST names what may not be there";
        }
        if (fs::path(other).extension() == ".tmp") {
          EXPECT_FALSE(lost.has_name(latest)) << "removed before LATEST is durable: " << line;
        }
        named.insert(other);
      }
      lost.see(call, path, other);
    }
    EXPECT_TRUE(named.count(newest) > 0 && named.count(latest) > 0) << trace();
    EXPECT_FALSE(lost.has_name(latest)) << "the save ended before LATEST was durable";
  }
}

TEST_F(CheckpointFault, ShortWritesAreContinued) {
  if (!injector_is_here()) return;
  const test::TemporaryDirectory run;
  EXPECT_TRUE(save_here(run.path(), 1, Fault::short_write));
  expect_usable(run.path(), run.path(), true);
}

}  // namespace
}  // namespace anemone::train

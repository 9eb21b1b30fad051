#include "tests/ane_driver/fault_judge.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <thread>

namespace anemone::test {
namespace {

constexpr int kMostFailures = 5;
constexpr int kMostTries = 20000;  // a millisecond each

// Ends the process, naming the script, when one takes too long or crashes.
class Watchdog {
 public:
  Watchdog() {
    for (const int signal : kSignals) std::signal(signal, crashed);
    thread_ = std::thread([this] { watch(); });
  }
  ~Watchdog() {
    done_ = true;
    thread_.join();
    for (const int signal : kSignals) std::signal(signal, SIG_DFL);
  }
  void begin(const std::string& script) {
    std::strncpy(script_, script.c_str(), sizeof script_ - 1);
    ++scripts_;
  }

 private:
  static constexpr int kLimitMs = 60000, kStepMs = 10;
  static constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGABRT};

  static void print(const char* what) {
    for (const char* text : {what, static_cast<const char*>(script_), "\n"}) {
      if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
    }
  }
  static void crashed(int signal) {
    print("crashed under the fault script: ");
    std::signal(signal, SIG_DFL);
    raise(signal);
  }
  void watch() {
    int last = -1, waited = 0;
    while (!done_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(kStepMs));
      waited = last == scripts_ ? waited + kStepMs : 0;
      last = scripts_;
      if (waited <= kLimitMs) continue;
      print("hangs under the fault script: ");
      std::_Exit(1);
    }
  }

  static inline char script_[4096];
  std::atomic<int> scripts_{0};
  std::atomic<bool> done_{false};
  std::thread thread_;
};

// What the scripts reached, so that the test cannot become one of nothing.
struct Tally {
  int completed = 0, second_tries = 0, stuck = 0;
  std::array<long, static_cast<std::size_t>(FaultPoint::count_)> struck{};

  void add(const FaultRun& run) {
    completed += run.complete ? 1 : 0;
    second_tries += run.foretold.slept_ms() > 0 ? 1 : 0;
    stuck += run.foretold.stuck() ? 1 : 0;
    for (std::size_t i = 0; i < struck.size(); ++i) {
      struck[i] += run.foretold.struck(static_cast<FaultPoint>(i));
    }
  }
};

void expect_count(std::string& wrong, const char* what, long actual, long foretold) {
  if (actual == foretold) return;
  wrong += std::string(what) + ": " + std::to_string(actual) + ", foretold " +
           std::to_string(foretold) + "; ";
}

void compare_calls(const FakeAne& fake, FaultRun& run) {
  const Foretold& foretold = run.foretold;
  std::string& wrong = run.wrong;
  const long compiles = fake.count("compileWithQoS:options:error:");
  expect_count(wrong, "compiles", compiles, foretold.compiles());
  expect_count(wrong, "compiles as the driver counts them", run.compiles, compiles);
  expect_count(wrong, "loads", fake.count("loadWithQoS:options:error:"), foretold.loads());
  expect_count(wrong, "evaluates", fake.count("evaluateWithQoS:options:request:error:"),
               foretold.evaluates());
  expect_count(wrong, "milliseconds waited", static_cast<long>(run.clock.slept.count()),
               foretold.slept_ms());
}

// What a call that did not return used is in use until it does; then it too must go.
void let_go(FakeAne& fake, long objects_before) {
  for (int tries = 0; tries < kMostTries; ++tries) {
    fake.let_go();  // again and again: what tidies up behind it may be held too
    if (fake.live() == objects_before) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// Everything that is wrong after one script; empty = nothing.
std::string judge(FakeAne& fake, const FaultPlan& plan, const FaultScenario& scenario,
                  Tally& tally) {
  const long before = fake.live();
  fake.script(plan.script);
  FaultRun run(plan);
  scenario(run);
  if (run.foretold.stuck() || fake.held() > 0) let_go(fake, before);
  compare_calls(fake, run);
  expect_count(run.wrong, "live objects", fake.live(), before);
  expect_count(run.wrong, "loaded programs", fake.loaded_programs(), 0);
  if (const std::string misuse = fake.violations(); !misuse.empty()) run.wrong += misuse;
  if (const std::string files = fake.left_files(); !files.empty()) run.wrong += "left: " + files;
  tally.add(run);
  return run.wrong;
}

std::ptrdiff_t open_files() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                       std::filesystem::directory_iterator());
}

}  // namespace

bool FaultRun::step(const char* what, bool must_succeed, const std::function<void()>& call) {
  std::string message;
  try {
    call();
  } catch (const Error& error) {
    message = error.what();
  }
  if (message.empty() != must_succeed) {
    wrong += std::string(what) + (message.empty() ? " succeeds, it must fail; "
                                                  : " fails, it must not: " + message + "; ");
  }
  return message.empty();
}

void run_fault_scripts(FakeAne& fake, int scripts, const DrawScenario& draw) {
  const std::ptrdiff_t files_before = open_files();
  Tally tally;
  {
    Watchdog watchdog;
    int failures = 0;
    for (int i = 0; i < scripts && failures < kMostFailures; ++i) {
      std::mt19937 random(static_cast<unsigned>(i));
      FaultPlan plan;
      const FaultScenario scenario = draw(random, plan);
      watchdog.begin(plan.script);
      const std::string wrong = judge(fake, plan, scenario, tally);
      if (wrong.empty()) continue;
      ++failures;
      ADD_FAILURE() << "script " << i << ": " << plan.script << "\n"
                    << wrong << "\n"
                    << fake.describe_live() << fake.last_compile_error();
    }
  }
  EXPECT_EQ(open_files(), files_before);
  EXPECT_GT(tally.completed, scripts / 5);
  EXPECT_GT(tally.second_tries, scripts / 10);
  EXPECT_GT(tally.stuck, scripts / 20);
  std::string struck;
  for (std::size_t i = 0; i < tally.struck.size(); ++i) {
    // Most scenarios unload only at the end, where nothing is foretold any more.
    const bool foretold = static_cast<FaultPoint>(i) != FaultPoint::unload;
    EXPECT_GT(tally.struck[i], foretold ? scripts / 50 : -1);
    struck += " " + std::to_string(tally.struck[i]);
  }
  std::cout << scripts << " fault scripts: " << tally.completed << " ran to their end, "
            << tally.second_tries << " with second tries, " << tally.stuck
            << " with a call that did not return; faults by point:" << struck << "\n";
}

}  // namespace anemone::test

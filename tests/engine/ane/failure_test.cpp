// The failure policy of the Neural Engine's driver: what is tried again, how often, after how long.
#include "anemone/engine/ane/driver/failure.h"

#include <gtest/gtest.h>

#include <thread>

namespace anemone::engine::ane {
namespace {

Failure failed(Action action, std::string text, std::string domain = "d", std::int64_t code = 8) {
  Failure failure;
  failure.action = action;
  failure.domain = std::move(domain);
  failure.code = code;
  failure.text = std::move(text);
  return failure;
}

TEST(FailurePolicy, ARefusalOfTheCompilerStops) {
  for (const char* text : {"ANECCompile() FAILED", "InvalidMILProgram: line 3"}) {
    EXPECT_TRUE(is_deterministic(failed(Action::compile, text))) << text;
    EXPECT_EQ(decide(failed(Action::compile, text), 1).verdict, Verdict::stop) << text;
  }
  EXPECT_TRUE(
      is_deterministic(failed(Action::compile, "", "com.apple.appleneuralengine.compiler", 1)));
}

TEST(FailurePolicy, ALostConnectionIsTriedOnceMore) {
  const Failure lost = failed(Action::compile, "the connection was interrupted");
  EXPECT_EQ(decide(lost, 1).verdict, Verdict::retry);
  EXPECT_EQ(decide(lost, 2).verdict, Verdict::stop);
}

TEST(FailurePolicy, ALoadIsTriedOnceMoreAfterATenthOfASecond) {
  const Failure load = failed(Action::load, "Program load failure (0x1)");
  EXPECT_EQ(decide(load, 1).verdict, Verdict::retry);
  EXPECT_EQ(decide(load, 1).wait, Milliseconds(100));
  EXPECT_EQ(decide(load, 2).verdict, Verdict::stop);
  EXPECT_EQ(decide(failed(Action::load, "(0x20004)"), 1).verdict, Verdict::stop);
}

TEST(FailurePolicy, AWrongRequestStopsAndOtherStatusesAreTriedAgain) {
  for (const char* text : {"status=0x1d : statusType=0x9", "status=0x16", "status=0x2"})
    EXPECT_EQ(decide(failed(Action::evaluate, text), 1).verdict, Verdict::stop) << text;
  for (const char* text : {"status=0x1de", "status=0x20", "timeout", ""}) {
    EXPECT_EQ(decide(failed(Action::evaluate, text), 1).verdict, Verdict::retry) << text;
    EXPECT_EQ(decide(failed(Action::evaluate, text), 2).verdict, Verdict::retry) << text;
    EXPECT_EQ(decide(failed(Action::evaluate, text), 3).verdict, Verdict::stop) << text;
  }
}

TEST(FailurePolicy, WhatHasNotReturnedIsLeftAlone) {
  Failure hung = failed(Action::compile, "no answer in 600 s");
  hung.no_answer = true;
  EXPECT_EQ(decide(hung, 1).verdict, Verdict::stop);
  EXPECT_EQ(hung.describe(), "compile does not return: no answer in 600 s");
}

TEST(FailurePolicy, FifteenSecondsPassBetweenAFailedCompileAndTheNext) {
  EXPECT_EQ(pause_before_compile(Milliseconds(0)), Milliseconds(15000));
  EXPECT_EQ(pause_before_compile(Milliseconds(14000)), Milliseconds(1000));
  EXPECT_EQ(pause_before_compile(Milliseconds(16000)), Milliseconds(0));
}

TEST(FailurePolicy, MessagesSayWhatIsKnown) {
  EXPECT_EQ(failed(Action::compile, "ANECCompile() FAILED", "com.x", 1).describe(),
            "compile failed: ANECCompile() FAILED (com.x, code 1)");
  Failure silent;
  silent.action = Action::load;
  EXPECT_EQ(silent.describe(), "load failed without an error that says why");
}

TEST(SystemClock, WaitsForWhatIsDoneButNotLongerThanTheLimit) {
  std::mutex mutex;
  std::condition_variable change;
  bool done = false;
  std::unique_lock lock(mutex);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(system_clock().wait(change, lock, done, Milliseconds(30)));
  EXPECT_GE(std::chrono::steady_clock::now() - start, Milliseconds(30));
  std::thread thread([&] {
    const std::lock_guard inside(mutex);
    done = true;
    change.notify_all();
  });
  EXPECT_TRUE(system_clock().wait(change, lock, done, Milliseconds(600000)));
  EXPECT_TRUE(lock.owns_lock());
  lock.unlock();
  thread.join();
}

}  // namespace
}  // namespace anemone::engine::ane

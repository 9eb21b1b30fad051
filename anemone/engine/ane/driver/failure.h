// What can go wrong at the Neural Engine, and what to do then: plain values and pure functions, so
// that the policy is tested without an engine.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

namespace anemone::engine::ane {

using Milliseconds = std::chrono::milliseconds;

enum class Action : std::uint8_t {
  descriptor,
  model,
  look,  // whether it is compiled already
  compile,
  load,
  request,
  evaluate,
  unload,
};
const char* action_name(Action action);  // "compile"

// One failed call: an NSError's contents, or nothing where there was none.
struct Failure {
  Action action = Action::compile;
  std::string domain;
  std::int64_t code = 0;
  std::string text;
  bool no_answer = false;  // the call has not returned in the time it is given
  bool earlier = false;    // … but was an earlier call, for whose sake this one was not made
  bool raised = false;     // the call raised an exception, which the text tells of

  // "compile failed: ANECCompile() FAILED (com.apple.appleneuralengine.compiler, code 1)"
  std::string describe() const;
};

enum class Verdict : std::uint8_t {
  retry,  // after Decision::wait
  stop,   // it would fail the same way again
};
struct Decision {
  Verdict verdict = Verdict::stop;
  Milliseconds wait{0};
};

// The service that compiles restarts after a failed compile and stalls its clients when hit again
// at once (facts: rule 68).
inline constexpr Milliseconds kPauseAfterFailedCompile{15000};
inline constexpr Milliseconds kPauseBeforeLoad{100};
inline constexpr Milliseconds kPauseBeforeEvaluate{20};
inline constexpr int kMaxCompileTries = 2, kMaxLoadTries = 2, kMaxEvaluateTries = 3;

// Does the failure follow from the program or the request, so that trying again cannot help?
bool is_deterministic(const Failure& failure);
// `tries`: how often it was tried so far, all in vain.
Decision decide(const Failure& failure, int tries);

// How long to wait before a compile, `since` the last one failed.
Milliseconds pause_before_compile(Milliseconds since);

// Time, so that tests need not wait.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Milliseconds now() = 0;  // since any fixed moment
  virtual void sleep(Milliseconds duration) = 0;
  // Waits for `change` until `done`, not longer than the limit. True: done. The lock guards `done`.
  virtual bool wait(std::condition_variable& change, std::unique_lock<std::mutex>& lock,
                    const bool& done, Milliseconds limit) = 0;
};
Clock& system_clock();

}  // namespace anemone::engine::ane

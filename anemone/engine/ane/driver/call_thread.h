// Calls to the framework that may never return: they go to services of the system, which can hang.
// A thread of its own makes them, so that whoever waits can give up after a limit, say which call
// it was, and go on. What a call uses belongs to the call and lives until it returns, if ever.
//
//   auto call = std::make_shared<Call>(framework, Action::load, [model](const Framework& f,
//                                                                        Id* error) { … });
//   const std::optional<Failure> failure = thread.run(call);   // nothing: it said YES
//
// One call at a time. After one that does not return no other is made in this process: what hangs
// once can be in any state. Only what tidies up waits for it, should it come back after all.
#pragma once

#include <pthread.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "anemone/engine/ane/driver/failure.h"
#include "anemone/engine/ane/driver/framework.h"

namespace anemone::engine::ane {

class Call {
 public:
  // Sends the messages, with a pool around it; what the framework answers, and its NSError.
  using Send = std::function<bool(const Framework& f, Id* error)>;

  Call(std::shared_ptr<const Framework> framework, Action action, Send send)
      : framework_(std::move(framework)), action_(action), send_(std::move(send)) {}
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void make();  // what send_ throws is a failure too
  Action action() const { return action_; }
  const std::optional<Failure>& failure() const { return failure_; }  // of the last make()

 private:
  std::shared_ptr<const Framework> framework_;
  Action action_;
  Send send_;
  std::optional<Failure> failure_;
};

// How long a call may take. Far more than any was seen to need: a call that is given up is lost.
struct CallLimits {
  Milliseconds build{600000};  // compile, load
  Milliseconds other{60000};   // evaluate and all else

  // ANEMONE_ANE_PATIENCE: seconds, for both. Throws Error for what is no number.
  static CallLimits from_environment();
  Milliseconds of(Action action) const;
};

class CallThread {
 public:
  CallThread(Clock& clock, const CallLimits& limits);
  ~CallThread();
  CallThread(const CallThread&) = delete;
  CallThread& operator=(const CallThread&) = delete;

  // Makes the call and waits for it; allocates nothing. Nothing: well done.
  std::optional<Failure> run(const std::shared_ptr<Call>& call);
  // The same for what tidies up, whose failures matter to nobody. Behind a call that does not
  // return it is left to be made when that one is back.
  void tidy_up(const std::shared_ptr<Call>& call);
  // The call that does not return, if there is one.
  std::optional<Failure> stuck() const;

 private:
  struct State;
  bool make(const std::shared_ptr<Call>& call);  // false: no answer
  static void* serve(void* state);

  Clock& clock_;
  CallLimits limits_;
  std::shared_ptr<State> state_;  // the thread's too
  pthread_t thread_{};
  mutable std::mutex callers_;
  std::optional<Failure> stuck_;
};

}  // namespace anemone::engine::ane

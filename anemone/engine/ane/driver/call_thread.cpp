// See call_thread.h.
#include "anemone/engine/ane/driver/call_thread.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <deque>
#include <string_view>

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/foundation.h"

namespace anemone::engine::ane {
namespace {

// Other threads than the first have 512 KB of stack on a Mac, and a compiler may run in this one.
constexpr std::size_t kStackBytes = std::size_t{8} << 20U;
constexpr long kMostPatience = 1000000;  // seconds

}  // namespace

Call::~Call() {
  const AutoreleasePool pool(framework_->runtime);
  send_ = nullptr;
}

void Call::make() {
  const Framework& f = *framework_;
  const AutoreleasePool pool(f.runtime);
  failure_.reset();
  try {
    Id error = nullptr;
    if (!send_(f, &error)) failure_ = from_error(f, action_, error);
  } catch (const Error& raised) {
    failure_.emplace();
    failure_->action = action_;
    failure_->raised = true;
    failure_->text = raised.what();
  }
}

CallLimits CallLimits::from_environment() {
  CallLimits limits;
  const char* text = std::getenv("ANEMONE_ANE_PATIENCE");
  if (text == nullptr || *text == '\0') return limits;
  const std::string_view number = text;
  long seconds = 0;
  const auto [end, problem] =
      std::from_chars(number.data(), number.data() + number.size(), seconds);
  if (problem != std::errc() || end != number.data() + number.size() || seconds < 1 ||
      seconds > kMostPatience)
    throw Error(fmt::format("'{}' is no time to wait for the Neural Engine", number),
                "ANEMONE_ANE_PATIENCE", fmt::format("seconds, 1 to {}", kMostPatience));
  limits.build = limits.other = std::chrono::seconds(seconds);
  return limits;
}

Milliseconds CallLimits::of(Action action) const {
  return action == Action::compile || action == Action::load ? build : other;
}

// What the thread and its owner share. `mutex` guards all of it.
struct CallThread::State {
  std::mutex mutex;
  std::condition_variable change;
  std::shared_ptr<Call> next;                 // to be made
  std::deque<std::shared_ptr<Call>> at_last;  // when a stuck call is back
  bool done = false;                          // the call that `next` was
  bool given_up = false;                      // nobody waits for it any more
  bool closing = false;                       // nothing more will come
};

CallThread::CallThread(Clock& clock, const CallLimits& limits)
    : clock_(clock), limits_(limits), state_(std::make_shared<State>()) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  auto shared = std::make_unique<std::shared_ptr<State>>(state_);
  const int problem = pthread_create(&thread_, &attributes, serve, shared.get());
  pthread_attr_destroy(&attributes);
  if (problem != 0) throw Error("the system gives no thread to call the Neural Engine from");
  static_cast<void>(shared.release());  // the thread's now
}

CallThread::~CallThread() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->change.notify_all();
  if (stuck_)
    pthread_detach(thread_);
  else
    pthread_join(thread_, nullptr);
}

void* CallThread::serve(void* argument) {
  const std::unique_ptr<std::shared_ptr<State>> owned(
      static_cast<std::shared_ptr<State>*>(argument));
  State& state = **owned;
  std::unique_lock lock(state.mutex);
  while (!state.given_up) {
    state.change.wait(lock, [&] { return state.next != nullptr || state.closing; });
    if (state.next == nullptr) return nullptr;
    std::shared_ptr<Call> call = std::move(state.next);
    lock.unlock();
    call->make();
    call = nullptr;
    lock.lock();
    state.done = true;
    state.change.notify_all();
  }
  // The call that was given up is back.
  for (;;) {
    state.change.wait(lock, [&] { return !state.at_last.empty() || state.closing; });
    if (state.at_last.empty()) return nullptr;
    std::shared_ptr<Call> call = std::move(state.at_last.front());
    state.at_last.pop_front();
    lock.unlock();
    call->make();
    call = nullptr;
    lock.lock();
  }
}

bool CallThread::make(const std::shared_ptr<Call>& call) {
  std::unique_lock lock(state_->mutex);
  state_->next = call;
  state_->done = false;
  state_->change.notify_all();
  const bool done = clock_.wait(state_->change, lock, state_->done, limits_.of(call->action()));
  state_->given_up = !done;
  return done;
}

std::optional<Failure> CallThread::run(const std::shared_ptr<Call>& call) {
  const std::lock_guard only(callers_);
  if (stuck_) {
    Failure failure = *stuck_;
    failure.earlier = true;
    return failure;
  }
  if (make(call)) return call->failure();
  stuck_.emplace();
  stuck_->action = call->action();
  stuck_->no_answer = true;
  stuck_->text = fmt::format("no answer in {} s",
                             std::chrono::duration<double>(limits_.of(call->action())).count());
  return stuck_;
}

void CallThread::tidy_up(const std::shared_ptr<Call>& call) {
  if (run(call).value_or(Failure{}).earlier) {
    const std::lock_guard lock(state_->mutex);
    state_->at_last.push_back(call);
    state_->change.notify_all();
  }
}

std::optional<Failure> CallThread::stuck() const {
  const std::lock_guard only(callers_);
  return stuck_;
}

}  // namespace anemone::engine::ane

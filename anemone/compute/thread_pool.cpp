// The workers of the pool, their shares of tasks, and waiting by spinning, then sleeping.
#include "anemone/compute/thread_pool.h"

#include <chrono>
#include <system_error>

#include "anemone/base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace anemone::compute {
namespace {

// Long enough to bridge the gap between two operations of a step and the time that tasks end apart,
// and to be cheaper than sleep: a virtual processor takes 50 microseconds to wake. Short enough to
// be no load on an idle machine.
constexpr std::chrono::microseconds kSpinTime{100};

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Polls until ready() or the time is up; says whether it is ready.
template <class Ready>
bool spin_until(Ready ready) {
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

std::uint64_t range_of(std::uint32_t begin, std::uint32_t end) {
  return std::uint64_t{end} << 32 | begin;
}
std::uint32_t begin_of(std::uint64_t range) { return static_cast<std::uint32_t>(range); }
std::uint32_t end_of(std::uint64_t range) { return static_cast<std::uint32_t>(range >> 32); }

}  // namespace

ThreadPool::ThreadPool(int threads) {
  ANEMONE_CHECK(threads >= 1, "a thread pool has at least the calling thread");
  shares_ = std::make_unique<Share[]>(static_cast<std::size_t>(threads));
  // With more threads than processors, polling would take time from the thread that is waited for.
  spins_ = threads <= default_thread_count();
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  try {
    for (int worker = 1; worker < threads; ++worker) {
      workers_.emplace_back([this, worker] { work(worker); });
    }
  } catch (const std::system_error& error) {
    stop();
    throw Error(std::string("cannot start a thread: ") + error.what(), "thread pool",
                "fewer threads");
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stopping_.store(true, std::memory_order_relaxed);
  region_.fetch_add(1, std::memory_order_release);
  region_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(int tasks, Body body) {
  if (tasks <= 0) return;
  ANEMONE_CHECK(!running_.exchange(true, std::memory_order_acquire),
                "a thread pool runs one region at a time, and none inside another");
  body_ = &body;
  if (tasks == 1 || workers_.empty()) {
    for (int task = 0; task < tasks; ++task) call(task, 0);
  } else {
    unfinished_.store(tasks, std::memory_order_relaxed);
    const auto bound = [&](std::int64_t worker) {  // workers share evenly
      return static_cast<std::uint32_t>(worker * tasks / threads());
    };
    for (int worker = threads() - 1; worker >= 0; --worker) {
      shares_[static_cast<std::size_t>(worker)].range.store(
          range_of(bound(worker), bound(worker + 1)), std::memory_order_release);
    }
    region_.fetch_add(1, std::memory_order_release);
    region_.notify_all();
    take_tasks(0);
    const auto finished = [this] { return unfinished_.load(std::memory_order_acquire) == 0; };
    if (!(spins_ && spin_until(finished))) {
      while (const std::int32_t left = unfinished_.load(std::memory_order_acquire)) {
        unfinished_.wait(left, std::memory_order_acquire);
      }
    }
  }
  std::exception_ptr exception;
  if (failed_.exchange(false, std::memory_order_acquire))
    exception = std::exchange(exception_, nullptr);
  running_.store(false, std::memory_order_release);
  if (exception) std::rethrow_exception(exception);
}

void ThreadPool::work(int worker) {
  std::uint32_t seen = 0;
  for (;;) {
    const auto changed = [this, seen] { return region_.load(std::memory_order_acquire) != seen; };
    if (!(spins_ && spin_until(changed))) region_.wait(seen, std::memory_order_acquire);
    seen = region_.load(std::memory_order_acquire);
    if (stopping_.load(std::memory_order_relaxed)) return;
    take_tasks(worker);
  }
}

// A worker's own share first, then what is left of the others'.
void ThreadPool::take_tasks(int worker) {
  int ended = 0;
  for (int i = 0; i < threads(); ++i) ended += run_share((worker + i) % threads(), worker);
  if (ended > 0 && unfinished_.fetch_sub(ended, std::memory_order_acq_rel) == ended)
    unfinished_.notify_one();
}

// Runs tasks of a share until none is left; says how many. The ends of tasks are counted together:
// a shared counter that is touched at every task costs more than small tasks do.
int ThreadPool::run_share(int share, int worker) {
  std::atomic<std::uint64_t>& range = shares_[static_cast<std::size_t>(share)].range;
  int ended = 0;
  std::uint64_t left = range.load(std::memory_order_acquire);
  while (begin_of(left) < end_of(left)) {
    const bool own = share == worker;
    const std::uint32_t task = own ? begin_of(left) : end_of(left) - 1;
    const std::uint64_t rest =
        own ? range_of(task + 1, end_of(left)) : range_of(begin_of(left), task);
    if (!range.compare_exchange_weak(left, rest, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
      continue;
    }
    call(static_cast<int>(task), worker);
    ++ended;
    left = range.load(std::memory_order_acquire);
  }
  return ended;
}

void ThreadPool::call(int task, int worker) {
  if (failed_.load(std::memory_order_relaxed)) return;
  try {
    (*body_)(task, worker);
  } catch (...) {  // thrown again in run(), on the caller's thread
    record_exception();
  }
}

void ThreadPool::record_exception() {
  std::lock_guard lock(exception_mutex_);
  if (!exception_) exception_ = std::current_exception();
  failed_.store(true, std::memory_order_release);
}

}  // namespace anemone::compute

// Threads for the compute operations: one parallel region at a time, cut into tasks by the caller.
//
// Tasks are taken from a shared counter, so who runs what depends on timing; a result must
// therefore depend on the task number only (and `worker` may only choose scratch memory). An idle
// worker spins for some microseconds, then sleeps. docs/decisions/0002-thread-pool.md says why this
// is not OpenMP.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "anemone/compute/function_ref.h"

namespace anemone::compute {

// Processors this process may use: the affinity mask, limited by the cgroup's CPU quota (rounded
// up). At least 1.
int default_thread_count();

class ThreadPool {
 public:
  using Body = FunctionRef<void(int task, int worker)>;

  // The calling thread is one of `threads` (>= 1). Throws Error if a thread cannot be started.
  explicit ThreadPool(int threads = default_thread_count());
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(task, worker) once for every task in [0, tasks), with 0 <= worker < threads(), and
  // returns when all have ended. Allocates nothing. The first exception of a task is thrown again
  // here; tasks not yet begun are then skipped. A run inside a run, or from two threads at once, is
  // a bug (CHECK).
  void run(int tasks, Body body);

 private:
  void work(int worker);
  void take_tasks(int worker);
  void call(int task, int worker);
  void record_exception();
  void stop();

  std::vector<std::thread> workers_;
  bool spins_ =
      false;  // an idle thread polls before it sleeps; not with more threads than processors

  // One region. `remaining_` is the claim counter: a worker that lowers it from n > 0 owns task
  // total_ - n, and the region (body_, total_) stays as it is until that task has ended.
  alignas(64) std::atomic<std::int32_t> remaining_{0};
  alignas(64) std::atomic<std::int32_t> unfinished_{0};
  alignas(64) std::atomic<std::uint32_t> region_{
      0};  // changes when a region begins or the pool stops
  std::atomic<bool> stopping_{false};
  std::atomic<bool> running_{false};
  std::atomic<bool> failed_{false};
  std::mutex exception_mutex_;
  std::exception_ptr exception_;
  const Body* body_ = nullptr;
  std::int32_t total_ = 0;
};

}  // namespace anemone::compute

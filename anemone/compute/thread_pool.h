// Threads for the compute operations: one parallel region at a time, cut into tasks by the caller.
//
// A region's tasks are dealt out as one range of neighbours to each worker, the same in every
// region of as many tasks: what a worker wrote in one region it finds in its own cache in the next,
// if the caller numbers tasks by place. A worker without tasks takes some from the end of another's
// range, so who runs what still depends on timing; a result must therefore depend on the task
// number only (and `worker` may only choose scratch memory). An idle worker spins for some
// microseconds, then sleeps. docs/decisions/0002-thread-pool.md says why this is not OpenMP.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
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
  int run_share(int share, int worker);
  void call(int task, int worker);
  void record_exception();
  void stop();

  std::vector<std::thread> workers_;
  bool spins_ =
      false;  // an idle thread polls before it sleeps; not with more threads than processors

  // The tasks [begin, end) that are left of a worker's share, as one word: the worker raises begin,
  // others lower end. On a line of its own, which for most of a region nobody else touches.
  struct alignas(128) Share {
    std::atomic<std::uint64_t> range{0};
  };

  // One region. Who has taken a task from a share owns it, and the region (body_) stays as it is
  // until that task is counted as ended.
  std::unique_ptr<Share[]> shares_;
  alignas(128) std::atomic<std::int32_t> unfinished_{0};
  alignas(128) std::atomic<std::uint32_t> region_{
      0};  // changes when a region begins or the pool stops
  const Body* body_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> running_{false};
  std::atomic<bool> failed_{false};
  std::mutex exception_mutex_;
  std::exception_ptr exception_;
};

}  // namespace anemone::compute

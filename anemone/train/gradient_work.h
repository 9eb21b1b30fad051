// The host's share of a backward pass: adding weight gradients to the parameters' accumulators,
// straight from the surfaces the kernels wrote.
//
// Inline, a job runs when it is submitted, with all threads. In the background a worker takes jobs
// in the order submitted (so sums do not depend on timing) with threads of its own; whoever is
// about to overwrite a surface first waits for the jobs that read it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "anemone/base/aligned_buffer.h"
#include "anemone/base/error.h"
#include "anemone/compute/copy.h"
#include "anemone/compute/gemm.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/engine/surface.h"
#include "anemone/train/gradient_block.h"

namespace anemone::train {

// Copies between two layouts of a tensor.
compute::CopyPlan plan_port_copy(const engine::Port& from, const engine::Port& to);
// From a tensor of the step to fp32, row-major; and the other way round.
compute::CopyPlan plan_read(const engine::Port& tensor);
compute::CopyPlan plan_write(const engine::Port& tensor);

class GradientWork {
 public:
  struct Source {
    engine::Surface* surface = nullptr;
    int surface_index = -1;  // in the step plan
    engine::Port port;
  };

  // `pool` runs the products; in the background nobody else may use it. What is given as `gradient`
  // below is part of gradients.home(); sums go to the block it uses then.
  GradientWork(compute::ThreadPool& pool, compute::ProductPrecision precision, bool background,
               const GradientBlock& gradients);
  ~GradientWork();
  GradientWork(const GradientWork&) = delete;
  GradientWork& operator=(const GradientWork&) = delete;

  // gradient[first_row + oc, ic] += sum over s of dy[oc, s] * x[ic, s];  dy, x: [1, C, 1, S].
  // `gradient` is the whole parameter's. Returns the job.
  int add_product(const std::string& parameter, std::int64_t first_row, const Source& dy,
                  const Source& x, std::span<float> gradient);
  // gradient += tensor, of as many elements.
  int add_direct(const std::string& parameter, const Source& tensor, std::span<float> gradient);
  // After the last job was added. `workspace`: memory for products that nothing else uses while a
  // job runs, workspace_needed() bytes; empty: its own.
  void start(std::span<std::byte> workspace = {});
  std::size_t workspace_needed() const;

  void submit(int job);
  void wait(int job);
  void wait_all();
  // The first failure of a job, if any (waits for nothing).
  Status status();
  // Of the jobs that have ended since clear_non_finite(), the first after which its gradient was
  // not finite; -1: none.
  int first_non_finite() const { return non_finite_.load(std::memory_order_relaxed); }
  void clear_non_finite() { non_finite_.store(-1, std::memory_order_relaxed); }

  int jobs() const { return static_cast<int>(jobs_.size()); }
  bool reads(int job, int surface_index) const;
  const std::string& parameter(int job) const { return at(job).parameter; }
  const std::string& name(int job) const { return at(job).name; }
  double milliseconds(int job) const { return at(job).milliseconds; }  // of its last run
  std::chrono::steady_clock::time_point began(int job) const { return at(job).began; }
  double flops(int job) const;
  std::size_t own_bytes() const {  // of memory
    return own_workspace_.size() + scratch_.size() * sizeof(float);
  }
  std::string explain() const;

 private:
  struct Job {
    std::string name, parameter;
    Source first, second;       // second: products only
    compute::GemmPlan plan;     // products
    compute::CopyPlan copy;     // direct: into fp32, row-major
    std::span<float> gradient;  // what it adds to, at home
    bool product = false;
    bool pending = false;
    double milliseconds = 0;
    std::chrono::steady_clock::time_point began{};
  };
  const Job& at(int job) const { return jobs_[static_cast<std::size_t>(job)]; }
  Job& at(int job) { return jobs_[static_cast<std::size_t>(job)]; }
  void run(Job& job);
  void run_product(const Job& job);
  void run_direct(const Job& job);
  void check_finite(const Job& job);
  std::span<float> gradient_of(const Job& job) const { return gradients_.at(job.gradient); }
  void work();
  void fail(const Job& job, const char* why);

  compute::ThreadPool& pool_;
  compute::ProductPrecision precision_;
  bool background_;
  const GradientBlock& gradients_;
  std::vector<Job> jobs_;
  AlignedBuffer own_workspace_;
  std::span<std::byte> workspace_;
  std::vector<float> scratch_;

  std::mutex mutex_;
  std::condition_variable submitted_, finished_;
  std::vector<int> queue_;  // a ring: each job is in it once at most
  std::size_t head_ = 0, count_ = 0;
  bool stopping_ = false;
  Status status_;
  std::atomic<int> non_finite_{-1};
  std::thread worker_;
};

}  // namespace anemone::train

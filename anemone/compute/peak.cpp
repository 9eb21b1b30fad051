// Measuring this machine's limits: bursts short enough to slip between interruptions, of which the
// best counts.
#include "anemone/compute/peak.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "anemone/base/aligned_buffer.h"
#include "anemone/kernels/peak/peak.h"
#include "anemone/kernels/reduce/reduce.h"

namespace anemone::compute {
namespace {

constexpr int kBursts = 15, kBurstsAlone = 5;
constexpr double kSideBySide = 0.9;  // of what as many threads would do alone
constexpr std::chrono::milliseconds kPatience{500};
constexpr double kBurstSeconds = 0.002;

template <class Work>
double seconds(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Operations a second of a burst on `threads` threads, one task each: long enough for every worker
// to wake and take one.
double burst_flops(ThreadPool& pool, const kernels::PeakKernel& kernel, int threads,
                   std::int64_t rounds) {
  float result = 0;
  const double time = seconds([&] {
    pool.run(threads, [&](int task, int) {
      const float value = kernel.run(rounds, 0.5f, 0.25f);
      if (task == 0) result = value;
    });
  });
  // The kernel lies in another object, so its work is done whether or not this is read.
  volatile float sink = result;
  static_cast<void>(sink);
  return static_cast<double>(rounds) * kernel.flops_per_round * threads / time;
}

// The system may leave new threads on one core for a while. So what one thread does alone says when
// all of them run side by side; where they never do (cores that share units), patience ends.
double peak_flops(ThreadPool& pool, const kernels::PeakKernel& kernel) {
  const int threads = pool.threads();
  std::int64_t rounds = 1000;
  const auto burst_seconds = [&] {
    return seconds([&] { burst_flops(pool, kernel, threads, rounds); });
  };
  while (burst_seconds() < kBurstSeconds / 2) rounds *= 2;
  double alone = 0, best = 0;
  for (int i = 0; i < kBurstsAlone; ++i)
    alone = std::max(alone, burst_flops(pool, kernel, 1, rounds));
  const auto start = std::chrono::steady_clock::now();
  const auto side_by_side = [&] { return best >= kSideBySide * alone * threads; };
  const auto patient = [&] { return std::chrono::steady_clock::now() - start < kPatience; };
  for (int i = 0; i < kBursts || (!side_by_side() && patient()); ++i)
    best = std::max(best, burst_flops(pool, kernel, threads, rounds));
  return best;
}

double copy_bandwidth(ThreadPool& pool) {
  constexpr std::size_t kBytes = std::size_t{48} << 20, kChunk = std::size_t{256} << 10;
  AlignedBuffer from(kBytes), to(kBytes);
  double best = 0;
  for (int i = 0; i < 4; ++i) {  // the first one maps the pages
    const double time = seconds([&] {
      pool.run(static_cast<int>(kBytes / kChunk), [&](int task, int) {
        const std::size_t at = static_cast<std::size_t>(task) * kChunk;
        if (i == 0) std::memset(from.data() + at, 1, kChunk);
        std::memcpy(to.data() + at, from.data() + at, kChunk);
      });
    });
    if (i > 0) best = std::max(best, 2.0 * static_cast<double>(kBytes) / time);
  }
  return best;
}

}  // namespace

double measure_read_bandwidth(ThreadPool& pool, const CpuFeatures& features) {
  constexpr std::size_t kBytes = std::size_t{256} << 20, kChunk = std::size_t{1} << 18;
  constexpr int kPasses = 6;
  const kernels::ReduceKernel& kernel = kernels::pick_reduce(features);
  AlignedBuffer memory(kBytes);
  std::vector<float> sums(kBytes / kChunk);
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const double time = seconds([&] {
      pool.run(static_cast<int>(sums.size()), [&](int task, int) {
        const auto at = static_cast<std::size_t>(task);
        const auto* from = reinterpret_cast<const float*>(memory.data() + at * kChunk);
        sums[at] = kernel.reduce(kernels::ReduceOp::sum, from, kChunk / sizeof(float));
      });
    });
    best = std::max(best, static_cast<double>(kBytes) / time);
  }
  return best;
}

Peak measure_peak(ThreadPool& pool, const CpuFeatures& features) {
  Peak peak;
  peak.threads = pool.threads();
  for (const kernels::PeakKernel& row : kernels::peak_kernels()) {
    if (!features.has(row.isa)) continue;
    double& flops = row.type == DType::bf16 ? peak.bf16_flops : peak.fp32_flops;
    if (flops != 0) continue;  // the best row of each type is the first
    flops = peak_flops(pool, row);
    if (row.type == DType::fp32) peak.fp32_isa = isa_name(row.isa);
  }
  peak.copy_bytes_per_second = copy_bandwidth(pool);
  return peak;
}

}  // namespace anemone::compute

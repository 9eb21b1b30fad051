// What this machine can do at most, measured: the denominator of every utilization we report.
#pragma once

#include "anemone/base/cpu_features.h"
#include "anemone/compute/thread_pool.h"

namespace anemone::compute {

struct Peak {
  int threads = 0;
  const char* fp32_isa = "";  // whose instructions were timed
  double fp32_flops = 0;      // multiply-adds on registers only, counted as 2, all threads
  double bf16_flops = 0;      // the same with bf16 dot products; 0 without such instructions
  double copy_bytes_per_second =
      0;  // bytes read + written by a copy much larger than a core's caches
};

// Best of several short bursts with all threads of the pool; takes about 0.1 s, or up to a second
// where the threads do not run side by side.
Peak measure_peak(ThreadPool& pool, const CpuFeatures& features = cpu_features());

// Bytes a second that all threads read together from an array too large for any cache: the limit of
// what uses every number once. Best of a few passes, about 0.2 s.
double measure_read_bandwidth(ThreadPool& pool, const CpuFeatures& features = cpu_features());

}  // namespace anemone::compute

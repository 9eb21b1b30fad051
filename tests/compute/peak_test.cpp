// The measured peak: there, plausible, and quick.
#include "anemone/compute/peak.h"

#include <gtest/gtest.h>

#include <chrono>

namespace anemone::compute {
namespace {

TEST(Peak, IsMeasuredForWhatTheProcessorHas) {
  ThreadPool pool(default_thread_count());
  const auto start = std::chrono::steady_clock::now();
  const Peak peak = measure_peak(pool);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(peak.threads, pool.threads());
  EXPECT_GT(peak.fp32_flops, 1e8);
  EXPECT_GT(peak.copy_bytes_per_second, 1e7);
  EXPECT_EQ(peak.bf16_flops > 0, cpu_features().has(Isa::avx512bf16));
  EXPECT_LT(time.count(), 5);  // about 0.1 s on an idle machine
}

TEST(Peak, OfALesserMachineIsThatOfItsInstructions) {
  ThreadPool pool(1);
  const Peak plain = measure_peak(pool, cpu_features().capped(Isa::plain));
  EXPECT_STREQ(plain.fp32_isa, "plain");
  EXPECT_EQ(plain.bf16_flops, 0);
}

}  // namespace
}  // namespace anemone::compute

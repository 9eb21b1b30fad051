// Chains of multiply-adds, one text for every instruction set.
#pragma once

#include "anemone/kernels/peak/peak.h"
#include "anemone/kernels/simd/simd.h"

namespace anemone::kernels {
namespace {

// Enough chains to hide the latency of two units of four cycles, few enough for the registers.
template <int Chains, class Step>
ANEMONE_INLINE float run_chains(std::int64_t rounds, float start, Step step) {
  Float sums[Chains];
  ANEMONE_UNROLL
  for (int i = 0; i < Chains; ++i) sums[i] = broadcast(start + static_cast<float>(i));
  for (std::int64_t round = 0; round < rounds; ++round) {
    ANEMONE_UNROLL
    for (int i = 0; i < Chains; ++i) sums[i] = step(sums[i]);
  }
  Float total = sums[0];
  ANEMONE_UNROLL
  for (int i = 1; i < Chains; ++i) total = add(total, sums[i]);
  alignas(64) float lanes[kLanes];
  store(lanes, total);
  return lanes[0];
}

template <int Chains>
ANEMONE_INLINE float run_float_chains(std::int64_t rounds, float factor, float term) {
  const Float a = broadcast(factor), b = broadcast(term);
  return run_chains<Chains>(rounds, term, [=](Float sum) { return fma(sum, a, b); });
}

}  // namespace
}  // namespace anemone::kernels

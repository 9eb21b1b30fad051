// Reductions of slots, one text for every instruction set.
#pragma once

#include "anemone/kernels/reduce/reduce.h"
#include "anemone/kernels/simd/math.h"
#include "anemone/kernels/simd/simd.h"

namespace anemone::kernels {
namespace {

// Four accumulators hide the latency of an addition; n alone decides which element goes where.
// `take` adds an element to an accumulator, `merge` combines two accumulators.
template <class Take, class Merge>
ANEMONE_INLINE float fold(const float* slot, std::ptrdiff_t n, float identity, Take take,
                          Merge merge) {
  Float acc[4];
  ANEMONE_UNROLL
  for (int j = 0; j < 4; ++j) acc[j] = broadcast(identity);
  std::ptrdiff_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    ANEMONE_UNROLL
    for (int j = 0; j < 4; ++j) acc[j] = take(acc[j], load(slot + i + j * kLanes));
  }
  for (; i < n; i += kLanes) {
    const std::ptrdiff_t rest = n - i < kLanes ? n - i : kLanes;
    acc[0] = take(acc[0], load_partial(slot + i, rest, identity));
  }
  alignas(64) float lanes[kLanes], other[kLanes];
  store(lanes, merge(merge(acc[0], acc[1]), merge(acc[2], acc[3])));
  // Halves onto halves.
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < kLanes; ++lane) other[lane] = lanes[(lane + width) % kLanes];
    store(lanes, merge(load(lanes), load(other)));
  }
  return lanes[0];
}

ANEMONE_INLINE Float take_sum(Float a, Float x) { return add(a, x); }
ANEMONE_INLINE Float take_square(Float a, Float x) { return fma(x, x, a); }

template <class Take>
ANEMONE_INLINE void accumulate_slots(float* accumulator, const float* slot, std::ptrdiff_t n,
                                     Take take) {
  for (std::ptrdiff_t i = 0; i < n; i += kLanes) {
    store(accumulator + i, take(load(accumulator + i), load(slot + i)));
  }
}

}  // namespace

float ANEMONE_KERNEL(reduce)(ReduceOp op, const float* slot, std::ptrdiff_t n) noexcept {
  const float infinity = float_from_bits(0x7f800000u);
  const auto sum = [](Float a, Float x) { return take_sum(a, x); };
  const auto square = [](Float a, Float x) { return take_square(a, x); };
  const auto max = [](Float a, Float x) { return max_nan(a, x); };
  const auto min = [](Float a, Float x) { return min_nan(a, x); };
  switch (op) {
    case ReduceOp::sum:
    case ReduceOp::mean:
      return fold(slot, n, 0, sum, sum);
    case ReduceOp::sum_square:
      return fold(slot, n, 0, square, sum);
    case ReduceOp::max:
      return fold(slot, n, -infinity, max, max);
    case ReduceOp::min:
      return fold(slot, n, infinity, min, min);
  }
  return 0;
}

void ANEMONE_KERNEL(accumulate)(ReduceOp op, float* accumulator, const float* slot,
                                std::ptrdiff_t n) noexcept {
  switch (op) {
    case ReduceOp::sum:
    case ReduceOp::mean:
      accumulate_slots(accumulator, slot, n, [](Float a, Float x) { return take_sum(a, x); });
      break;
    case ReduceOp::sum_square:
      accumulate_slots(accumulator, slot, n, [](Float a, Float x) { return take_square(a, x); });
      break;
    case ReduceOp::max:
      accumulate_slots(accumulator, slot, n, [](Float a, Float x) { return max_nan(a, x); });
      break;
    case ReduceOp::min:
      accumulate_slots(accumulator, slot, n, [](Float a, Float x) { return min_nan(a, x); });
      break;
  }
}

float ANEMONE_KERNEL(exp_sum)(float* slot, std::ptrdiff_t n, float shift) noexcept {
  const Float minus = broadcast(-shift);
  Float sum[2] = {broadcast(0), broadcast(0)};
  std::ptrdiff_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    ANEMONE_UNROLL
    for (int j = 0; j < 2; ++j) {
      const Float e = exp(add(load(slot + i + j * kLanes), minus));
      store(slot + i + j * kLanes, e);
      sum[j] = add(sum[j], e);
    }
  }
  for (; i < n; i += kLanes) {
    const std::ptrdiff_t rest = n - i < kLanes ? n - i : kLanes;
    // e^-inf = 0: lanes past the end add nothing (a shift of -inf makes the whole row NaN anyway).
    const Float x = load_partial(slot + i, rest, float_from_bits(0xff800000u));
    const Float e = exp(add(x, minus));
    store(slot + i, e);
    sum[0] = add(sum[0], e);
  }
  return sum_lanes(add(sum[0], sum[1]));
}

void ANEMONE_KERNEL(scale)(float* slot, std::ptrdiff_t n, float factor) noexcept {
  for (std::ptrdiff_t i = 0; i < n; i += kLanes) {
    store(slot + i, mul(load(slot + i), broadcast(factor)));
  }
}

}  // namespace anemone::kernels

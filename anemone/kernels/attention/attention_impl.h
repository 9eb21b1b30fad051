// Softmax of columns and its derivative, one text for every instruction set.
#pragma once

#include "anemone/kernels/attention/attention.h"
#include "anemone/kernels/simd/math.h"
#include "anemone/kernels/simd/simd.h"

namespace anemone::kernels {
namespace {

template <int Vectors>
struct Count {
  static constexpr int kVectors = Vectors;
};

// Two neighbouring vectors of every row at once, so that memory is read as it lies; then one.
template <class Body>
ANEMONE_INLINE void for_columns(int columns, Body body) {
  int column = 0;
  for (; column + kLanes < columns; column += 2 * kLanes) body(column, Count<2>());
  if (column < columns) body(column, Count<1>());
}

template <int Vectors>
ANEMONE_INLINE void load_columns(const float* from, Float (&to)[Vectors]) {
  ANEMONE_UNROLL
  for (int v = 0; v < Vectors; ++v) to[v] = load(from + v * kLanes);
}
template <int Vectors>
ANEMONE_INLINE void store_columns(float* to, const Float (&from)[Vectors]) {
  ANEMONE_UNROLL
  for (int v = 0; v < Vectors; ++v) store(to + v * kLanes, from[v]);
}

// Even and odd rows each have their accumulators: they hide the latency of max, and of an addition.
template <int Vectors>
ANEMONE_INLINE void max_columns(const ScoreBlock& block, int column, float factor, float* max) {
  Float even[Vectors], odd[Vectors];
  load_columns(max + column, even);
  load_columns(max + column, odd);
  const Float by = broadcast(factor);
  const float* row = block.values + column;
  std::ptrdiff_t i = 0;
  for (; i + 2 <= block.rows; i += 2, row += 2 * block.stride) {
    ANEMONE_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      even[v] = max_or_b(mul(load(row + v * kLanes), by), even[v]);
      odd[v] = max_or_b(mul(load(row + block.stride + v * kLanes), by), odd[v]);
    }
  }
  ANEMONE_UNROLL
  for (int v = 0; v < Vectors; ++v) {
    if (i < block.rows) even[v] = max_or_b(mul(load(row + v * kLanes), by), even[v]);
    even[v] = max_or_b(even[v], odd[v]);
  }
  store_columns(max + column, even);
}

template <int Vectors>
ANEMONE_INLINE void exp_columns(const ScoreBlock& block, int column, float factor, const float* max,
                                float* sum) {
  Float shift[Vectors], total[Vectors];
  load_columns(max + column, shift);
  load_columns(sum + column, total);
  const Float by = broadcast(factor);
  float* row = block.values + column;
  for (std::ptrdiff_t i = 0; i < block.rows; ++i, row += block.stride) {
    ANEMONE_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const Float e = exp2_of_negative(sub(mul(load(row + v * kLanes), by), shift[v]));
      store(row + v * kLanes, e);
      total[v] = add(total[v], e);
    }
  }
  store_columns(sum + column, total);
}

template <int Vectors>
ANEMONE_INLINE void dot_columns(const ScoreBlock& weights, const ScoreBlock& values, int column,
                                float* sum) {
  Float even[Vectors], odd[Vectors];
  load_columns(sum + column, even);
  ANEMONE_UNROLL
  for (int v = 0; v < Vectors; ++v) odd[v] = broadcast(0);
  const float* a = weights.values + column;
  const float* b = values.values + column;
  std::ptrdiff_t i = 0;
  for (; i + 2 <= weights.rows; i += 2, a += 2 * weights.stride, b += 2 * values.stride) {
    ANEMONE_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      even[v] = fma(load(a + v * kLanes), load(b + v * kLanes), even[v]);
      odd[v] =
          fma(load(a + weights.stride + v * kLanes), load(b + values.stride + v * kLanes), odd[v]);
    }
  }
  ANEMONE_UNROLL
  for (int v = 0; v < Vectors; ++v) {
    if (i < weights.rows) even[v] = fma(load(a + v * kLanes), load(b + v * kLanes), even[v]);
    even[v] = add(even[v], odd[v]);
  }
  store_columns(sum + column, even);
}

template <int Vectors>
ANEMONE_INLINE void gradient_columns(const ScoreBlock& weights, const ScoreBlock& gradients,
                                     int column, const float* factor, const float* mean) {
  Float by[Vectors], middle[Vectors];
  load_columns(factor + column, by);
  load_columns(mean + column, middle);
  float* a = weights.values + column;
  float* b = gradients.values + column;
  for (std::ptrdiff_t i = 0; i < weights.rows; ++i, a += weights.stride, b += gradients.stride) {
    ANEMONE_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const Float p = mul(load(a + v * kLanes), by[v]);
      store(a + v * kLanes, p);
      store(b + v * kLanes, mul(p, sub(load(b + v * kLanes), middle[v])));
    }
  }
}

template <int Vectors>
ANEMONE_INLINE void scale_columns(const ScoreBlock& block, int column, const float* factor) {
  Float by[Vectors];
  load_columns(factor + column, by);
  float* row = block.values + column;
  for (std::ptrdiff_t i = 0; i < block.rows; ++i, row += block.stride) {
    ANEMONE_UNROLL
    for (int v = 0; v < Vectors; ++v) store(row + v * kLanes, mul(load(row + v * kLanes), by[v]));
  }
}

}  // namespace

void ANEMONE_KERNEL(score_max)(const ScoreBlock& scores, float factor, float* max) noexcept {
  for_columns(scores.columns, [&](int column, auto count) {
    max_columns<count.kVectors>(scores, column, factor, max);
  });
}

void ANEMONE_KERNEL(score_exp)(const ScoreBlock& scores, float factor, const float* max,
                               float* sum) noexcept {
  for_columns(scores.columns, [&](int column, auto count) {
    exp_columns<count.kVectors>(scores, column, factor, max, sum);
  });
}

void ANEMONE_KERNEL(score_dot)(const ScoreBlock& weights, const ScoreBlock& values,
                               float* sum) noexcept {
  for_columns(weights.columns, [&](int column, auto count) {
    dot_columns<count.kVectors>(weights, values, column, sum);
  });
}

void ANEMONE_KERNEL(score_gradient)(const ScoreBlock& weights, const ScoreBlock& gradients,
                                    const float* factor, const float* mean) noexcept {
  for_columns(weights.columns, [&](int column, auto count) {
    gradient_columns<count.kVectors>(weights, gradients, column, factor, mean);
  });
}

void ANEMONE_KERNEL(score_scale)(const ScoreBlock& values, const float* factor) noexcept {
  for_columns(values.columns, [&](int column, auto count) {
    scale_columns<count.kVectors>(values, column, factor);
  });
}

}  // namespace anemone::kernels

// Vectors of 4 floats in the compilers' own vector notation, for any processor (SSE2 and NEON hold
// them in a register). The same names as in the other simd_*.h; a kernel source includes one. There
// may be no fused multiply-add: fma rounds twice.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/dtype.h"

namespace anemone::kernels {
namespace {

constexpr int kLanes = 4;
typedef float Float __attribute__((vector_size(16)));
typedef std::int32_t Mask __attribute__((vector_size(16)));  // all bits of a lane

ANEMONE_INLINE Float load(const float* p) {
  Float a;
  __builtin_memcpy(&a, p, sizeof(a));
  return a;
}
ANEMONE_INLINE Float broadcast(float a) { return Float{a, a, a, a}; }
// The first n lanes (0 <= n <= kLanes) from memory, `fill` in the others.
ANEMONE_INLINE Float load_partial(const float* p, std::ptrdiff_t n, float fill) {
  Float a = broadcast(fill);
  for (int i = 0; i < kLanes; ++i) {
    if (i < n) a[i] = p[i];
  }
  return a;
}
ANEMONE_INLINE void store(float* p, Float a) { __builtin_memcpy(p, &a, sizeof(a)); }
ANEMONE_INLINE void store_partial(float* p, std::ptrdiff_t n, Float a) {
  for (int i = 0; i < kLanes; ++i) {
    if (i < n) p[i] = a[i];
  }
}
ANEMONE_INLINE Float add(Float a, Float b) { return a + b; }
ANEMONE_INLINE Float sub(Float a, Float b) { return a - b; }
ANEMONE_INLINE Float mul(Float a, Float b) { return a * b; }
ANEMONE_INLINE Float div(Float a, Float b) { return a / b; }
ANEMONE_INLINE Float fma(Float a, Float b, Float c) { return a * b + c; }
ANEMONE_INLINE Float sqrt(Float a) {
  for (int i = 0; i < kLanes; ++i) a[i] = __builtin_sqrtf(a[i]);
  return a;
}
ANEMONE_INLINE Mask less(Float a, Float b) { return a < b; }
ANEMONE_INLINE Mask less_equal(Float a, Float b) { return a <= b; }
ANEMONE_INLINE Mask equal(Float a, Float b) { return a == b; }
ANEMONE_INLINE Mask is_nan(Float a) { return a != a; }
ANEMONE_INLINE Float select(Mask mask, Float yes, Float no) {
  return (Float)((mask & (Mask)yes) | (~mask & (Mask)no));
}
// If either is NaN: b.
ANEMONE_INLINE Float min_or_b(Float a, Float b) { return select(a < b, a, b); }
ANEMONE_INLINE Float max_or_b(Float a, Float b) { return select(a > b, a, b); }
ANEMONE_INLINE Float bit_and(Float a, Float b) { return (Float)((Mask)a & (Mask)b); }
ANEMONE_INLINE Float bit_or(Float a, Float b) { return (Float)((Mask)a | (Mask)b); }
ANEMONE_INLINE Float bit_xor(Float a, Float b) { return (Float)((Mask)a ^ (Mask)b); }
// Nearest even, for |a| < 2^22: adding 1.5 · 2^23 pushes the fraction out of the significand.
ANEMONE_INLINE Float round_to_integer(Float a) {
  const Float shift = broadcast(12582912.0f);
  return (a + shift) - shift;
}
// a · 2^n for integral n, |n| <= 252: in two steps, of which only the second can round.
ANEMONE_INLINE Float power_of_two(Mask n) { return (Float)((n + 127) << 23); }
ANEMONE_INLINE Float scale(Float a, Float n) {
  const Mask whole = __builtin_convertvector(n, Mask);
  const Mask half = whole >> 1;
  return a * power_of_two(half) * power_of_two(whole - half);
}
// a = m · 2^e with 1 <= m < 2, for normal positive a.
ANEMONE_INLINE Float mantissa(Float a) { return (Float)(((Mask)a & 0x007fffff) | 0x3f800000); }
ANEMONE_INLINE Float exponent(Float a) {
  return __builtin_convertvector(((Mask)a >> 23) - 127, Float);
}

ANEMONE_INLINE Float load_f16(const void* p) {
  const f16* from = static_cast<const f16*>(p);
  return Float{to_float(from[0]), to_float(from[1]), to_float(from[2]), to_float(from[3])};
}
ANEMONE_INLINE void store_f16(void* p, Float a) {
  for (int i = 0; i < kLanes; ++i) static_cast<f16*>(p)[i] = f16_from_float(a[i]);
}
ANEMONE_INLINE Float load_bf16(const void* p) {
  const bf16* from = static_cast<const bf16*>(p);
  return Float{to_float(from[0]), to_float(from[1]), to_float(from[2]), to_float(from[3])};
}
// The first n lanes; 0 in the others.
ANEMONE_INLINE Float load_f16_partial(const void* p, std::ptrdiff_t n) {
  Float a = broadcast(0);
  for (int i = 0; i < kLanes; ++i) {
    if (i < n) a[i] = to_float(static_cast<const f16*>(p)[i]);
  }
  return a;
}
ANEMONE_INLINE Float load_bf16_partial(const void* p, std::ptrdiff_t n) {
  Float a = broadcast(0);
  for (int i = 0; i < kLanes; ++i) {
    if (i < n) a[i] = to_float(static_cast<const bf16*>(p)[i]);
  }
  return a;
}
ANEMONE_INLINE void store_bf16(void* p, Float a) {
  for (int i = 0; i < kLanes; ++i) static_cast<bf16*>(p)[i] = bf16_from_float(a[i]);
}
ANEMONE_INLINE Float round_f16(Float a) {
  for (int i = 0; i < kLanes; ++i) a[i] = to_float(f16_from_float(a[i]));
  return a;
}
ANEMONE_INLINE Float round_bf16(Float a) {
  for (int i = 0; i < kLanes; ++i) a[i] = to_float(bf16_from_float(a[i]));
  return a;
}

// rows[i][j] becomes rows[j][i].
ANEMONE_INLINE void transpose_square(Float (&rows)[4]) {
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < i; ++j) {
      const float kept = rows[i][j];
      rows[i][j] = rows[j][i];
      rows[j][i] = kept;
    }
  }
}

}  // namespace
}  // namespace anemone::kernels

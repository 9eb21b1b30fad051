// Vectors of 4 floats for NEON as every 64-bit ARM processor has it. The same names as in the other
// simd_*.h; a kernel source includes one. Everything lies in an anonymous namespace and is forced
// inline: no symbol leaves the object (see design.md section 6).
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "anemone/base/dtype.h"

namespace anemone::kernels {
namespace {

constexpr int kLanes = 4;
using Float = float32x4_t;
using Mask = uint32x4_t;  // all bits of a lane

ANEMONE_INLINE Float load(const float* p) { return vld1q_f32(p); }
ANEMONE_INLINE Float broadcast(float a) { return vdupq_n_f32(a); }
// The first n lanes (0 <= n <= kLanes) from memory, `fill` in the others.
ANEMONE_INLINE Float load_partial(const float* p, std::ptrdiff_t n, float fill) {
  float lanes[kLanes] = {fill, fill, fill, fill};
  for (std::ptrdiff_t i = 0; i < n; ++i) lanes[i] = p[i];
  return vld1q_f32(lanes);
}
ANEMONE_INLINE void store(float* p, Float a) { vst1q_f32(p, a); }
ANEMONE_INLINE void store_partial(float* p, std::ptrdiff_t n, Float a) {
  float lanes[kLanes];
  vst1q_f32(lanes, a);
  for (std::ptrdiff_t i = 0; i < n; ++i) p[i] = lanes[i];
}
ANEMONE_INLINE Float add(Float a, Float b) { return vaddq_f32(a, b); }
ANEMONE_INLINE Float sub(Float a, Float b) { return vsubq_f32(a, b); }
ANEMONE_INLINE Float mul(Float a, Float b) { return vmulq_f32(a, b); }
ANEMONE_INLINE Float div(Float a, Float b) { return vdivq_f32(a, b); }
ANEMONE_INLINE Float fma(Float a, Float b, Float c) { return vfmaq_f32(c, a, b); }  // a·b + c
ANEMONE_INLINE Float sqrt(Float a) { return vsqrtq_f32(a); }

ANEMONE_INLINE Mask less(Float a, Float b) { return vcltq_f32(a, b); }
ANEMONE_INLINE Mask less_equal(Float a, Float b) { return vcleq_f32(a, b); }
ANEMONE_INLINE Mask equal(Float a, Float b) { return vceqq_f32(a, b); }
ANEMONE_INLINE Mask is_nan(Float a) { return vmvnq_u32(vceqq_f32(a, a)); }
ANEMONE_INLINE Float select(Mask mask, Float yes, Float no) { return vbslq_f32(mask, yes, no); }
// If either is NaN: b. (fmin and fmax would make NaN of either.)
ANEMONE_INLINE Float min_or_b(Float a, Float b) { return select(vcltq_f32(a, b), a, b); }
ANEMONE_INLINE Float max_or_b(Float a, Float b) { return select(vcgtq_f32(a, b), a, b); }

ANEMONE_INLINE uint32x4_t bits_of(Float a) { return vreinterpretq_u32_f32(a); }
ANEMONE_INLINE Float of_bits(uint32x4_t a) { return vreinterpretq_f32_u32(a); }
ANEMONE_INLINE Float bit_and(Float a, Float b) {
  return of_bits(vandq_u32(bits_of(a), bits_of(b)));
}
ANEMONE_INLINE Float bit_or(Float a, Float b) { return of_bits(vorrq_u32(bits_of(a), bits_of(b))); }
ANEMONE_INLINE Float bit_xor(Float a, Float b) {
  return of_bits(veorq_u32(bits_of(a), bits_of(b)));
}
ANEMONE_INLINE Float round_to_integer(Float a) { return vrndnq_f32(a); }  // nearest even

// a · 2^n for integral n, |n| <= 252: in two steps, of which only the second can round.
ANEMONE_INLINE Float power_of_two(int32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}
ANEMONE_INLINE Float scale(Float a, Float n) {
  const int32x4_t whole = vcvtq_s32_f32(n);
  const int32x4_t half = vshrq_n_s32(whole, 1);
  return mul(mul(a, power_of_two(half)), power_of_two(vsubq_s32(whole, half)));
}
// a = m · 2^e with 1 <= m < 2, for normal positive a.
ANEMONE_INLINE Float mantissa(Float a) {
  return of_bits(
      vorrq_u32(vandq_u32(bits_of(a), vdupq_n_u32(0x007fffffu)), vdupq_n_u32(0x3f800000u)));
}
ANEMONE_INLINE Float exponent(Float a) {
  const int32x4_t biased = vreinterpretq_s32_u32(vshrq_n_u32(bits_of(a), 23));
  return vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)));
}

// 16-bit numbers lie in memory without alignment beyond their own.
ANEMONE_INLINE uint16x4_t load_16bit(const void* p) {
  return vld1_u16(static_cast<const std::uint16_t*>(p));
}
ANEMONE_INLINE uint16x4_t load_16bit_partial(const void* p, std::ptrdiff_t n) {
  std::uint16_t lanes[kLanes] = {};
  for (std::ptrdiff_t i = 0; i < n; ++i) lanes[i] = static_cast<const std::uint16_t*>(p)[i];
  return vld1_u16(lanes);
}
ANEMONE_INLINE void store_16bit(void* p, uint16x4_t a) {
  vst1_u16(static_cast<std::uint16_t*>(p), a);
}
ANEMONE_INLINE Float widen_f16(uint16x4_t bits) { return vcvt_f32_f16(vreinterpret_f16_u16(bits)); }
ANEMONE_INLINE Float widen_bf16(uint16x4_t bits) { return of_bits(vshll_n_u16(bits, 16)); }
ANEMONE_INLINE Float load_f16(const void* p) { return widen_f16(load_16bit(p)); }
ANEMONE_INLINE Float load_bf16(const void* p) { return widen_bf16(load_16bit(p)); }
// The first n lanes; 0 in the others.
ANEMONE_INLINE Float load_f16_partial(const void* p, std::ptrdiff_t n) {
  return widen_f16(load_16bit_partial(p, n));
}
ANEMONE_INLINE Float load_bf16_partial(const void* p, std::ptrdiff_t n) {
  return widen_bf16(load_16bit_partial(p, n));
}
ANEMONE_INLINE uint16x4_t f16_bits_rounded(Float a) {
  return vreinterpret_u16_f16(vcvt_f16_f32(a));
}
ANEMONE_INLINE uint16x4_t bf16_bits_rounded(Float a) {
  const uint32x4_t bits = bits_of(a);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t sum = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  return vshrn_n_u32(vbslq_u32(is_nan(a), quiet, sum), 16);
}
ANEMONE_INLINE void store_f16(void* p, Float a) { store_16bit(p, f16_bits_rounded(a)); }
ANEMONE_INLINE void store_bf16(void* p, Float a) { store_16bit(p, bf16_bits_rounded(a)); }
ANEMONE_INLINE Float round_f16(Float a) { return widen_f16(f16_bits_rounded(a)); }
ANEMONE_INLINE Float round_bf16(Float a) { return widen_bf16(bf16_bits_rounded(a)); }

// rows[i][j] becomes rows[j][i]: pairs of 32 bits, then of 64 bits.
ANEMONE_INLINE void transpose_square(Float (&rows)[4]) {
  const float32x4x2_t upper = vtrnq_f32(rows[0], rows[1]), lower = vtrnq_f32(rows[2], rows[3]);
  rows[0] = vcombine_f32(vget_low_f32(upper.val[0]), vget_low_f32(lower.val[0]));
  rows[1] = vcombine_f32(vget_low_f32(upper.val[1]), vget_low_f32(lower.val[1]));
  rows[2] = vcombine_f32(vget_high_f32(upper.val[0]), vget_high_f32(lower.val[0]));
  rows[3] = vcombine_f32(vget_high_f32(upper.val[1]), vget_high_f32(lower.val[1]));
}

}  // namespace
}  // namespace anemone::kernels

// Vectors of 8 floats for AVX2 + FMA + F16C. The same names as in the other simd_*.h; a kernel
// source includes one. Everything lies in an anonymous namespace and is forced inline: no symbol
// leaves the object (see design.md section 6).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "anemone/base/dtype.h"

namespace anemone::kernels {
namespace {

constexpr int kLanes = 8;
using Float = __m256;
using Mask = __m256;  // all bits of a lane

ANEMONE_INLINE Float load(const float* p) { return _mm256_loadu_ps(p); }
ANEMONE_INLINE __m256i lane_mask(std::ptrdiff_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
// The first n lanes (0 <= n <= kLanes) from memory, `fill` in the others.
ANEMONE_INLINE Float load_partial(const float* p, std::ptrdiff_t n, float fill) {
  const __m256i mask = lane_mask(n);
  return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, mask),
                          _mm256_castsi256_ps(mask));
}
ANEMONE_INLINE void store(float* p, Float a) { _mm256_storeu_ps(p, a); }
ANEMONE_INLINE void store_partial(float* p, std::ptrdiff_t n, Float a) {
  _mm256_maskstore_ps(p, lane_mask(n), a);
}
ANEMONE_INLINE Float broadcast(float a) { return _mm256_set1_ps(a); }
ANEMONE_INLINE Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
ANEMONE_INLINE Float sub(Float a, Float b) { return _mm256_sub_ps(a, b); }
ANEMONE_INLINE Float mul(Float a, Float b) { return _mm256_mul_ps(a, b); }
ANEMONE_INLINE Float div(Float a, Float b) { return _mm256_div_ps(a, b); }
ANEMONE_INLINE Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }  // a·b + c
ANEMONE_INLINE Float sqrt(Float a) { return _mm256_sqrt_ps(a); }
// If either is NaN: b.
ANEMONE_INLINE Float min_or_b(Float a, Float b) { return _mm256_min_ps(a, b); }
ANEMONE_INLINE Float max_or_b(Float a, Float b) { return _mm256_max_ps(a, b); }
ANEMONE_INLINE Float bit_and(Float a, Float b) { return _mm256_and_ps(a, b); }
ANEMONE_INLINE Float bit_or(Float a, Float b) { return _mm256_or_ps(a, b); }
ANEMONE_INLINE Float bit_xor(Float a, Float b) { return _mm256_xor_ps(a, b); }
ANEMONE_INLINE Float round_to_integer(Float a) { return _mm256_round_ps(a, 0x08); }  // nearest even
// a · 2^n for integral n, |n| <= 252: in two steps, of which only the second can round.
ANEMONE_INLINE Float power_of_two(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
ANEMONE_INLINE Float scale(Float a, Float n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  return mul(mul(a, power_of_two(half)), power_of_two(_mm256_sub_epi32(whole, half)));
}
// a = m · 2^e with 1 <= m < 2, for normal positive a.
ANEMONE_INLINE Float mantissa(Float a) {
  const Float kept = bit_and(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x007fffff)));
  return bit_or(kept, broadcast(1.0f));
}
ANEMONE_INLINE Float exponent(Float a) {
  const __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(a), 23);
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));
}

ANEMONE_INLINE Mask less(Float a, Float b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
ANEMONE_INLINE Mask less_equal(Float a, Float b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
ANEMONE_INLINE Mask equal(Float a, Float b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
ANEMONE_INLINE Mask is_nan(Float a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
ANEMONE_INLINE Float select(Mask mask, Float yes, Float no) {
  return _mm256_blendv_ps(no, yes, mask);
}

ANEMONE_INLINE Float load_f16(const void* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}
ANEMONE_INLINE void store_f16(void* p, Float a) {
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
ANEMONE_INLINE Float load_bf16(const void* p) {
  const __m128i bits = _mm_loadu_si128(static_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
// The first n lanes; 0 in the others.
ANEMONE_INLINE __m128i load_16bit_partial(const void* p, std::ptrdiff_t n) {
  alignas(16) std::uint16_t lanes[kLanes] = {};
  for (std::ptrdiff_t i = 0; i < n; ++i) lanes[i] = static_cast<const std::uint16_t*>(p)[i];
  return _mm_load_si128(reinterpret_cast<const __m128i*>(lanes));
}
ANEMONE_INLINE Float load_f16_partial(const void* p, std::ptrdiff_t n) {
  return _mm256_cvtph_ps(load_16bit_partial(p, n));
}
ANEMONE_INLINE Float load_bf16_partial(const void* p, std::ptrdiff_t n) {
  const __m256i bits = _mm256_cvtepu16_epi32(load_16bit_partial(p, n));
  return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
}
ANEMONE_INLINE __m256i
bf16_bits_rounded(Float a) {  // in the upper half of each lane; the lower is junk
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  return _mm256_blendv_epi8(sum, quiet, _mm256_castps_si256(is_nan(a)));
}
ANEMONE_INLINE void store_bf16(void* p, Float a) {
  const __m256i high = _mm256_srli_epi32(bf16_bits_rounded(a), 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 0x08);
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
}
ANEMONE_INLINE Float round_f16(Float a) {
  return _mm256_cvtph_ps(_mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
ANEMONE_INLINE Float round_bf16(Float a) {
  return _mm256_castsi256_ps(
      _mm256_and_si256(bf16_bits_rounded(a), _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}

// rows[i][j] becomes rows[j][i]: pairs of 32 bits, of 64 bits, then halves.
ANEMONE_INLINE void transpose_square(Float (&rows)[8]) {
  __m256 t[8], u[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int c = 0; c < 4; ++c) {
    rows[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
    rows[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
  }
}

}  // namespace
}  // namespace anemone::kernels

// Vectors of 16 floats for AVX-512 (F, BW, VL, DQ). The same names as in the other simd_*.h; a
// kernel source includes one. Everything lies in an anonymous namespace and is forced inline: no
// symbol leaves the object (see design.md section 6).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "anemone/base/dtype.h"

namespace anemone::kernels {
namespace {

constexpr int kLanes = 16;
using Float = __m512;
using Mask = __mmask16;

ANEMONE_INLINE Float load(const float* p) { return _mm512_loadu_ps(p); }
// The first n lanes (0 <= n <= kLanes) from memory, `fill` in the others.
ANEMONE_INLINE Float load_partial(const float* p, std::ptrdiff_t n, float fill) {
  return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), static_cast<Mask>((1u << n) - 1), p);
}
ANEMONE_INLINE void store(float* p, Float a) { _mm512_storeu_ps(p, a); }
ANEMONE_INLINE void store_partial(float* p, std::ptrdiff_t n, Float a) {
  _mm512_mask_storeu_ps(p, static_cast<Mask>((1u << n) - 1), a);
}
ANEMONE_INLINE Float broadcast(float a) { return _mm512_set1_ps(a); }
ANEMONE_INLINE Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
ANEMONE_INLINE Float sub(Float a, Float b) { return _mm512_sub_ps(a, b); }
ANEMONE_INLINE Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
ANEMONE_INLINE Float div(Float a, Float b) { return _mm512_div_ps(a, b); }
ANEMONE_INLINE Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }  // a·b + c
ANEMONE_INLINE Float sqrt(Float a) { return _mm512_sqrt_ps(a); }
// If either is NaN: b.
ANEMONE_INLINE Float min_or_b(Float a, Float b) { return _mm512_min_ps(a, b); }
ANEMONE_INLINE Float max_or_b(Float a, Float b) { return _mm512_max_ps(a, b); }
ANEMONE_INLINE Float bit_and(Float a, Float b) { return _mm512_and_ps(a, b); }
ANEMONE_INLINE Float bit_or(Float a, Float b) { return _mm512_or_ps(a, b); }
ANEMONE_INLINE Float bit_xor(Float a, Float b) { return _mm512_xor_ps(a, b); }
ANEMONE_INLINE Float round_to_integer(Float a) {
  return _mm512_roundscale_ps(a, 0x08);
}  // nearest even
// a · 2^n for integral n, rounded once.
ANEMONE_INLINE Float scale(Float a, Float n) { return _mm512_scalef_ps(a, n); }
// a = m · 2^e with 1 <= m < 2, for normal positive a.
ANEMONE_INLINE Float mantissa(Float a) {
  return _mm512_getmant_ps(a, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}
ANEMONE_INLINE Float exponent(Float a) { return _mm512_getexp_ps(a); }

ANEMONE_INLINE Mask less(Float a, Float b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
ANEMONE_INLINE Mask less_equal(Float a, Float b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
ANEMONE_INLINE Mask equal(Float a, Float b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
ANEMONE_INLINE Mask is_nan(Float a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
ANEMONE_INLINE Float select(Mask mask, Float yes, Float no) {
  return _mm512_mask_blend_ps(mask, no, yes);
}

ANEMONE_INLINE Float load_f16(const void* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
ANEMONE_INLINE void store_f16(void* p, Float a) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
ANEMONE_INLINE Float load_bf16(const void* p) {
  const __m256i bits = _mm256_loadu_si256(static_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
// The first n lanes; 0 in the others.
ANEMONE_INLINE Float load_f16_partial(const void* p, std::ptrdiff_t n) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(static_cast<Mask>((1u << n) - 1), p));
}
ANEMONE_INLINE Float load_bf16_partial(const void* p, std::ptrdiff_t n) {
  const __m256i bits = _mm256_maskz_loadu_epi16(static_cast<Mask>((1u << n) - 1), p);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
ANEMONE_INLINE __m512i
bf16_bits_rounded(Float a) {  // in the upper half of each lane; the lower is junk
  const __m512i bits = _mm512_castps_si512(a);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  return _mm512_mask_or_epi32(sum, is_nan(a), bits, _mm512_set1_epi32(0x400000));
}
ANEMONE_INLINE void store_bf16(void* p, Float a) {
  const __m512i high = _mm512_srli_epi32(bf16_bits_rounded(a), 16);
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtepi32_epi16(high));
}
ANEMONE_INLINE Float round_f16(Float a) {
  return _mm512_cvtph_ps(_mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
ANEMONE_INLINE Float round_bf16(Float a) {
  return _mm512_castsi512_ps(
      _mm512_and_si512(bf16_bits_rounded(a), _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}

// rows[i][j] becomes rows[j][i]: pairs of 32 bits, of 64 bits, then 128-bit quarters.
ANEMONE_INLINE void transpose_square(Float (&rows)[16]) {
  __m512 t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
  }
  __m512d u[16];
  for (int i = 0; i < 16; i += 4) {
    u[i] = _mm512_unpacklo_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2]));
    u[i + 1] = _mm512_unpackhi_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2]));
    u[i + 2] = _mm512_unpacklo_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3]));
    u[i + 3] = _mm512_unpackhi_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3]));
  }
  // u[4g + c] holds, in quarter q, column 4q + c of rows 4g … 4g + 3.
  for (int c = 0; c < 4; ++c) {
    const __m512d low01 = _mm512_shuffle_f64x2(u[c], u[4 + c], 0x44);
    const __m512d high01 = _mm512_shuffle_f64x2(u[c], u[4 + c], 0xee);
    const __m512d low23 = _mm512_shuffle_f64x2(u[8 + c], u[12 + c], 0x44);
    const __m512d high23 = _mm512_shuffle_f64x2(u[8 + c], u[12 + c], 0xee);
    rows[c] = _mm512_castpd_ps(_mm512_shuffle_f64x2(low01, low23, 0x88));
    rows[4 + c] = _mm512_castpd_ps(_mm512_shuffle_f64x2(low01, low23, 0xdd));
    rows[8 + c] = _mm512_castpd_ps(_mm512_shuffle_f64x2(high01, high23, 0x88));
    rows[12 + c] = _mm512_castpd_ps(_mm512_shuffle_f64x2(high01, high23, 0xdd));
  }
}

}  // namespace
}  // namespace anemone::kernels

// AVX512_BF16 adds no vectors of floats of its own: its sources use those of AVX-512. What it adds
// is the rounding of two of them at once; subnormal numbers become 0.
#pragma once

#include "anemone/kernels/simd/simd_avx512.h"

namespace anemone::kernels {
namespace {

// 32 floats as bf16, `first` in the lower half.
ANEMONE_INLINE __m512i as_bf16s(Float first, Float second) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
}

// Elements 0 to 15 and 16 to 31 as pairs (0, 16), (1, 17), …
ANEMONE_INLINE __m512i interleave_halves(__m512i a) {
  const __m512i order = _mm512_setr_epi32(
      0x100000, 0x110001, 0x120002, 0x130003, 0x140004, 0x150005, 0x160006, 0x170007, 0x180008,
      0x190009, 0x1a000a, 0x1b000b, 0x1c000c, 0x1d000d, 0x1e000e, 0x1f000f);
  return _mm512_permutexvar_epi16(order, a);
}

}  // namespace
}  // namespace anemone::kernels

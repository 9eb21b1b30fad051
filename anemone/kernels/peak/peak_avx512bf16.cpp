// The peak of bf16 dot products with vdpbf16ps: four operations per lane.
#include "anemone/kernels/peak/peak_impl.h"

namespace anemone::kernels {

namespace {

// Both halves of every lane: what bf16_bits_rounded leaves in the lower ones would be NaN.
ANEMONE_INLINE __m512i broadcast_pairs(float value) {
  const int bits = bf16_from_float(value).bits;
  return _mm512_set1_epi32(bits << 16 | bits);
}

}  // namespace

float peak_avx512bf16(std::int64_t rounds, float factor, float term) noexcept {
  const __m512i a = broadcast_pairs(factor), b = broadcast_pairs(term);
  return run_chains<24>(rounds, term, [=](Float sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  });
}

}  // namespace anemone::kernels

// The peak of bf16 dot products with vdpbf16ps: four operations per lane.
#include "anemone/kernels/peak/peak_impl.h"

namespace anemone::kernels {

float peak_avx512bf16(std::int64_t rounds, float factor, float term) noexcept {
  const __m512i a = bf16_bits_rounded(broadcast(factor)), b = bf16_bits_rounded(broadcast(term));
  return run_chains<24>(rounds, term, [=](Float sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  });
}

}  // namespace anemone::kernels

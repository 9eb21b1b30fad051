// The fp32 peak of AVX-512.
#include "anemone/kernels/peak/peak_impl.h"

namespace anemone::kernels {

float peak_avx512(std::int64_t rounds, float factor, float term) noexcept {
  return run_float_chains<24>(rounds, factor, term);
}

}  // namespace anemone::kernels

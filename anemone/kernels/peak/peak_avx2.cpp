// The fp32 peak of AVX2.
#include "anemone/kernels/peak/peak_impl.h"

namespace anemone::kernels {

float peak_avx2(std::int64_t rounds, float factor, float term) noexcept {
  return run_float_chains<12>(rounds, factor, term);
}

}  // namespace anemone::kernels

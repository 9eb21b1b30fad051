// The fp32 peak of NEON: sums for up to four units of four cycles.
#include "anemone/kernels/peak/peak_impl.h"

namespace anemone::kernels {

float peak_neon(std::int64_t rounds, float factor, float term) noexcept {
  return run_float_chains<24>(rounds, factor, term);
}

}  // namespace anemone::kernels

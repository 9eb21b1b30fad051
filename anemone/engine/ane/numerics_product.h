// Matrix products as the multiply-accumulate units of the Neural Engine compute them.
#pragma once

#include <cstdint>

#include "anemone/engine/ane/numerics_profile.h"

namespace anemone::engine::ane {

// c[m, n] = fp16(fp16(a[m, k] * b[k, n]) + c[m, n]), row-major and dense, operands fp16 numbers and
// no NaN. Sums are formed in the order of k, in fp32.
void add_product(const NumericsProfile& profile, std::int64_t m, std::int64_t n, std::int64_t k,
                 const double* a, const double* b, double* c);

}  // namespace anemone::engine::ane

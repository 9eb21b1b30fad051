// Vectors from and to memory of a float element type chosen by template argument: f16, bf16 or
// float.
#pragma once

#include "anemone/base/dtype.h"
#include "anemone/kernels/simd/simd.h"

namespace anemone::kernels {
namespace {

ANEMONE_INLINE Float load_vector(const f16* p) { return load_f16(p); }
ANEMONE_INLINE Float load_vector(const bf16* p) { return load_bf16(p); }
ANEMONE_INLINE Float load_vector(const float* p) { return load(p); }

// The first n lanes (0 <= n <= kLanes); 0 in the others.
ANEMONE_INLINE Float load_vector(const f16* p, std::ptrdiff_t n) { return load_f16_partial(p, n); }
ANEMONE_INLINE Float load_vector(const bf16* p, std::ptrdiff_t n) {
  return load_bf16_partial(p, n);
}
ANEMONE_INLINE Float load_vector(const float* p, std::ptrdiff_t n) { return load_partial(p, n, 0); }

ANEMONE_INLINE void store_vector(f16* p, Float a) { store_f16(p, a); }
ANEMONE_INLINE void store_vector(bf16* p, Float a) { store_bf16(p, a); }
ANEMONE_INLINE void store_vector(float* p, Float a) { store(p, a); }

// The first n lanes, `stride` elements apart.
template <class T>
ANEMONE_INLINE void store_vector(T* p, std::ptrdiff_t stride, std::ptrdiff_t n, Float a) {
  T lanes[kLanes];
  store_vector(lanes, a);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (lane < n) p[lane * stride] = lanes[lane];
  }
}

}  // namespace
}  // namespace anemone::kernels

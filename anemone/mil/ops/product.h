// The matrix product of reference evaluation: plain loops in an order that stays in the cache.
#pragma once

#include <complex>
#include <cstdint>

namespace anemone::mil {

// c[m, n] += a[m, k] * b[k, n], all row-major and dense. For double and std::complex<double>.
template <class T>
void add_product(std::int64_t m, std::int64_t n, std::int64_t k, const T* a, const T* b, T* c);

// out[n, m] = in[m, n], all row-major and dense.
template <class T>
void transpose_matrix(std::int64_t m, std::int64_t n, const T* in, T* out);

// y[i] += a * x[i * step].
template <class T>
void add_scaled(std::int64_t count, const T& a, const T* x, std::int64_t step, T* y);

}  // namespace anemone::mil

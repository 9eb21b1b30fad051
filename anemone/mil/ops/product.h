// The matrix product of reference evaluation: plain loops in an order that stays in the cache.
#pragma once

#include <complex>
#include <cstdint>
#include <type_traits>

#include "anemone/mil/arithmetic.h"

namespace anemone::mil {

// c[m, n] += a[m, k] * b[k, n], all row-major and dense. For double and std::complex<double>.
template <class T>
void add_product(std::int64_t m, std::int64_t n, std::int64_t k, const T* a, const T* b, T* c);

// The same by the rule that the context has for it.
template <class T>
void add_product(const EvalContext<T>& context, std::int64_t m, std::int64_t n, std::int64_t k,
                 const T* a, const T* b, T* c) {
  if constexpr (std::is_same_v<T, double>) {
    if (context.products != nullptr) return context.products->add_product(m, n, k, a, b, c);
  }
  add_product(m, n, k, a, b, c);
}

// out[n, m] = in[m, n], all row-major and dense.
template <class T>
void transpose_matrix(std::int64_t m, std::int64_t n, const T* in, T* out);

// y[i] += a * x[i * step].
template <class T>
void add_scaled(std::int64_t count, const T& a, const T* x, std::int64_t step, T* y);

}  // namespace anemone::mil

// The matrix product of reference evaluation. Blocks of b stay in the second-level cache while all
// rows of a pass over them; four rows of b at a time, so that c is loaded and stored once for four
// products. The order in which a sum is formed is the order of k.
#include "anemone/mil/ops/product.h"

#include <algorithm>

namespace anemone::mil {
namespace {

constexpr std::int64_t kBlockK = 128;
constexpr std::int64_t kBlockN = 128;

// Two doubles, or the two parts of a complex number: an SSE2 or NEON register.
using Pair = double __attribute__((vector_size(16)));

Pair load(const double* p) {
  Pair value;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}
void store(double* p, Pair value) { __builtin_memcpy(p, &value, sizeof(value)); }

// c[0..n) += a0 * b0[..] + a1 * b1[..] + a2 * b2[..] + a3 * b3[..]
void four_rows(std::int64_t n, const double* a, const double* b, std::int64_t ldb, double* c) {
  const double *b0 = b, *b1 = b + ldb, *b2 = b + 2 * ldb, *b3 = b + 3 * ldb;
  const Pair a0 = {a[0], a[0]}, a1 = {a[1], a[1]}, a2 = {a[2], a[2]}, a3 = {a[3], a[3]};
  std::int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    Pair c0 = load(c + j), c1 = load(c + j + 2);
    c0 += a0 * load(b0 + j);
    c1 += a0 * load(b0 + j + 2);
    c0 += a1 * load(b1 + j);
    c1 += a1 * load(b1 + j + 2);
    c0 += a2 * load(b2 + j);
    c1 += a2 * load(b2 + j + 2);
    c0 += a3 * load(b3 + j);
    c1 += a3 * load(b3 + j + 2);
    store(c + j, c0);
    store(c + j + 2, c1);
  }
  for (; j < n; ++j) {
    c[j] = (((c[j] + a[0] * b0[j]) + a[1] * b1[j]) + a[2] * b2[j]) + a[3] * b3[j];
  }
}

using Complex = std::complex<double>;

// The parts by hand: operator* of std::complex checks for NaN at every product.
void four_rows(std::int64_t n, const Complex* a, const Complex* b, std::int64_t ldb, Complex* c) {
  for (int row = 0; row < 4; ++row) {
    const Pair re = {a[row].real(), a[row].real()}, im = {-a[row].imag(), a[row].imag()};
    const auto* x = reinterpret_cast<const double*>(b + row * ldb);
    auto* y = reinterpret_cast<double*>(c);
    for (std::int64_t j = 0; j < 2 * n; j += 2) {
      const Pair value = load(x + j);
      const Pair swapped = {value[1], value[0]};
      store(y + j, load(y + j) + (re * value + im * swapped));
    }
  }
}

}  // namespace

template <>
void add_scaled(std::int64_t count, const double& a, const double* x, std::int64_t step,
                double* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] += a * x[i * step];
}

template <>
void add_scaled(std::int64_t count, const Complex& a, const Complex* x, std::int64_t step,
                Complex* y) {
  for (std::int64_t i = 0; i < count; ++i) {
    const Complex& v = x[i * step];
    y[i] += Complex(a.real() * v.real() - a.imag() * v.imag(),
                    a.real() * v.imag() + a.imag() * v.real());
  }
}

template <class T>
void add_product(std::int64_t m, std::int64_t n, std::int64_t k, const T* a, const T* b, T* c) {
  for (std::int64_t k0 = 0; k0 < k; k0 += kBlockK) {
    const std::int64_t k1 = std::min(k, k0 + kBlockK);
    for (std::int64_t n0 = 0; n0 < n; n0 += kBlockN) {
      const std::int64_t width = std::min(n - n0, kBlockN);
      for (std::int64_t i = 0; i < m; ++i) {
        T* row = c + i * n + n0;
        std::int64_t p = k0;
        for (; p + 4 <= k1; p += 4) four_rows(width, a + i * k + p, b + p * n + n0, n, row);
        for (; p < k1; ++p) add_scaled<T>(width, a[i * k + p], b + p * n + n0, 1, row);
      }
    }
  }
}

template <class T>
void transpose_matrix(std::int64_t m, std::int64_t n, const T* in, T* out) {
  constexpr std::int64_t kTile = 32;
  for (std::int64_t i0 = 0; i0 < m; i0 += kTile) {
    for (std::int64_t j0 = 0; j0 < n; j0 += kTile) {
      const std::int64_t i1 = std::min(m, i0 + kTile), j1 = std::min(n, j0 + kTile);
      for (std::int64_t i = i0; i < i1; ++i) {
        for (std::int64_t j = j0; j < j1; ++j) out[j * m + i] = in[i * n + j];
      }
    }
  }
}

template void add_product(std::int64_t, std::int64_t, std::int64_t, const double*, const double*,
                          double*);
template void add_product(std::int64_t, std::int64_t, std::int64_t, const Complex*, const Complex*,
                          Complex*);
template void transpose_matrix(std::int64_t, std::int64_t, const double*, double*);
template void transpose_matrix(std::int64_t, std::int64_t, const Complex*, Complex*);

}  // namespace anemone::mil

// Elementary functions on vectors, written once over simd_*.h. Error bounds are tested.
//
// Each reduces its argument and evaluates a polynomial that was fitted for the least largest
// relative error (Lawson's iteration on Chebyshev nodes, in double); its own error is below 0.1
// half-ulp, so what remains is rounding.
#pragma once

#include "anemone/base/dtype.h"
#include "anemone/kernels/simd/simd.h"

namespace anemone::kernels {
namespace {

ANEMONE_INLINE Float sign_bit() { return broadcast(-0.0f); }
ANEMONE_INLINE Float negate(Float a) { return bit_xor(a, sign_bit()); }
ANEMONE_INLINE Float absolute(Float a) {
  return bit_and(a, broadcast(float_from_bits(0x7fffffffu)));
}
// As numpy's maximum and minimum: NaN if either is.
ANEMONE_INLINE Float max_nan(Float a, Float b) { return select(is_nan(a), a, max_or_b(a, b)); }
ANEMONE_INLINE Float min_nan(Float a, Float b) { return select(is_nan(a), a, min_or_b(a, b)); }

// e^x = 2^n · e^r, |r| <= ln2/2.
ANEMONE_INLINE Float exp(Float x) {
  // Beyond these the result is inf or 0; NaN passes (the second argument wins).
  x = min_or_b(broadcast(89.0f), max_or_b(broadcast(-104.5f), x));
  const Float n = round_to_integer(mul(x, broadcast(1.44269502f)));
  Float r = fma(n, broadcast(-0.693359375f), x);
  r = fma(n, broadcast(0.000212194442f), r);
  Float q = broadcast(0.00138145988f);
  q = fma(q, r, broadcast(0.00836871658f));
  q = fma(q, r, broadcast(0.041668389f));
  q = fma(q, r, broadcast(0.166665211f));
  q = fma(q, r, broadcast(0.49999994f));
  const Float p = add(broadcast(1.0f), fma(mul(r, r), q, r));
  return scale(p, n);
}

// 2^x for x <= 0, in fewer steps than e^x: 2^n · 2^r, |r| <= 1/2. 0 from -150 on; NaN passes.
ANEMONE_INLINE Float exp2_of_negative(Float x) {
  x = max_or_b(broadcast(-150.0f), x);
  const Float n = round_to_integer(x);
  const Float r = sub(x, n);
  Float q = broadcast(0.000155946778f);
  q = fma(q, r, broadcast(0.00134066434f));
  q = fma(q, r, broadcast(0.00961769279f));
  q = fma(q, r, broadcast(0.0555031039f));
  q = fma(q, r, broadcast(0.240226522f));
  q = fma(q, r, broadcast(0.693147242f));
  return scale(fma(q, r, broadcast(1.0f)), n);
}

// ln x = e·ln2 + ln(1 + f), sqrt(1/2) <= 1 + f < sqrt(2).
ANEMONE_INLINE Float log(Float x) {
  const Float smallest_normal = broadcast(1.17549435e-38f);
  const Mask tiny = less(x, smallest_normal);
  const Float normal = select(tiny, mul(x, broadcast(33554432.0f)), x);  // 2^25
  Float e = add(exponent(normal), select(tiny, broadcast(-25.0f), broadcast(0.0f)));
  Float m = mantissa(normal);
  const Mask large = less(broadcast(1.41421354f), m);
  m = select(large, mul(m, broadcast(0.5f)), m);
  e = select(large, add(e, broadcast(1.0f)), e);
  const Float f = sub(m, broadcast(1.0f));
  Float q = broadcast(0.0674664006f);
  q = fma(q, f, broadcast(-0.116756521f));
  q = fma(q, f, broadcast(0.11888162f));
  q = fma(q, f, broadcast(-0.124055892f));
  q = fma(q, f, broadcast(0.142195523f));
  q = fma(q, f, broadcast(-0.166679963f));
  q = fma(q, f, broadcast(0.200021192f));
  q = fma(q, f, broadcast(-0.250000089f));
  q = fma(q, f, broadcast(0.333333135f));
  const Float f2 = mul(f, f);
  // Small terms first.
  Float y = mul(mul(f, f2), q);
  y = fma(e, broadcast(-0.000212194442f), y);
  y = fma(f2, broadcast(-0.5f), y);
  y = add(f, y);
  y = fma(e, broadcast(0.693359375f), y);
  const Float infinity = broadcast(float_from_bits(0x7f800000u));
  y = select(equal(x, infinity), infinity, y);
  y = select(equal(x, broadcast(0.0f)), negate(infinity), y);
  y = select(less(x, broadcast(0.0f)), broadcast(float_from_bits(0x7fc00000u)), y);
  return select(is_nan(x), x, y);
}

ANEMONE_INLINE Float sigmoid(Float x) {
  return div(broadcast(1.0f), add(broadcast(1.0f), exp(negate(x))));
}
ANEMONE_INLINE Float silu(Float x) { return div(x, add(broadcast(1.0f), exp(negate(x)))); }

// Small |x|: x + x³·q(x²). Else 1 - 2/(e^(2|x|) + 1) with the sign of x.
ANEMONE_INLINE Float tanh(Float x) {
  const Float magnitude = absolute(x);
  const Float u = mul(x, x);
  Float q = broadcast(-0.00570498686f);
  q = fma(q, u, broadcast(0.0206390861f));
  q = fma(q, u, broadcast(-0.0537397154f));
  q = fma(q, u, broadcast(0.133314416f));
  q = fma(q, u, broadcast(-0.333332807f));
  const Float small = fma(mul(x, u), q, x);
  const Float e = exp(add(magnitude, magnitude));
  const Float large = sub(broadcast(1.0f), div(broadcast(2.0f), add(e, broadcast(1.0f))));
  const Float y = select(less(magnitude, broadcast(0.625f)), small, large);
  return bit_or(y, bit_and(x, sign_bit()));  // also makes tanh(-0) = -0
}

ANEMONE_INLINE float sum_lanes(Float a) {
  alignas(64) float lanes[kLanes];
  store(lanes, a);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

}  // namespace
}  // namespace anemone::kernels

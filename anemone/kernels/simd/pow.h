// a^b in fp32, correct to 1 ulp, by way of double: 2^52 leaves room for the 2^7 by which b·ln a
// magnifies an error. Scalar code without branches that matter, so that the compiler may make
// vectors of it.
#pragma once

#include <cstdint>

#include "anemone/base/dtype.h"

namespace anemone::kernels {
namespace {

// ln x for a positive, finite x that came from a float (so it is normal in double).
ANEMONE_INLINE double log_positive(double x) {
  const std::uint64_t bits = __builtin_bit_cast(std::uint64_t, x);
  // Exponent such that the significand lies in [sqrt(1/2), sqrt(2)).
  const std::uint64_t shifted = bits - 0x3fe6a09e667f3bcdull;
  const auto e =
      static_cast<double>(static_cast<std::int32_t>(static_cast<std::int64_t>(shifted) >> 52));
  const double m = __builtin_bit_cast(double, bits - (shifted & 0xfff0000000000000ull));
  // ln m = 2·artanh(s), |s| < 0.1716; the first term left out is below 2^-45 of the result.
  const double s = (m - 1.0) / (m + 1.0), u = s * s;
  double p = 2.0 / 15;
  p = p * u + 2.0 / 13;
  p = p * u + 2.0 / 11;
  p = p * u + 2.0 / 9;
  p = p * u + 2.0 / 7;
  p = p * u + 2.0 / 5;
  p = p * u + 2.0 / 3;
  p = p * u + 2.0;
  return e * 0.69314718055994530942 + s * p;
}

// e^x as a float, for any x but NaN; |x| is clamped to where the result is 0 or inf anyway.
ANEMONE_INLINE float exp_to_float(double x) {
  x = x < -200.0 ? -200.0 : x;
  x = x > 200.0 ? 200.0 : x;
  const double shift = 6755399441055744.0;  // 1.5 · 2^52: adding it rounds to an integer
  const double n = (x * 1.4426950408889634 + shift) - shift;
  const double r = x - n * 0.69314718055994530942;
  double p = 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const auto biased = static_cast<std::uint64_t>(static_cast<std::int32_t>(n) + 1023);
  return static_cast<float>(p * __builtin_bit_cast(double, biased << 52));
}

// The special cases are those of C's pow.
ANEMONE_INLINE float power(float a, float b) {
  const float infinity = float_from_bits(0x7f800000u);
  const float magnitude = float_from_bits(float_bits(a) & 0x7fffffffu);
  const float exponent_magnitude = float_from_bits(float_bits(b) & 0x7fffffffu);
  const bool huge = !(exponent_magnitude < 16777216.0f);  // an even integer, inf or NaN
  const auto whole = static_cast<std::int32_t>(huge ? 0.0f : b);
  const bool integral = huge || static_cast<float>(whole) == b;
  const bool odd = !huge && integral && (whole & 1);

  const bool ordinary = magnitude > 0 && magnitude < infinity && exponent_magnitude < infinity;
  const double x = ordinary ? static_cast<double>(magnitude) : 1.0;
  float result = exp_to_float((ordinary ? static_cast<double>(b) : 0.0) * log_positive(x));
  const bool shrinks = (magnitude < 1) == (b > 0);  // towards 0, otherwise towards infinity
  result = ordinary ? result : (shrinks ? 0.0f : infinity);
  result = magnitude == 1 ? 1.0f : result;
  const bool negative = float_bits(a) >> 31;
  result = negative && odd ? -result : result;
  const float nan = float_from_bits(0x7fc00000u);
  result = negative && !integral && magnitude > 0 && magnitude < infinity ? nan : result;
  result = a != a || b != b ? nan : result;
  return a == 1 || b == 0 ? 1.0f : result;
}

}  // namespace
}  // namespace anemone::kernels

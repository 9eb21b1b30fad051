// Element types: the scalar types of MIL, their sizes and names, and the two 16-bit float storage
// types.
//
// A plain header: kernels compiled for one instruction set include it, so it uses no C++ library
// beyond <cstdint>-like headers, and every function is forced inline (an out-of-line copy would be
// a weak symbol that the linker might take from an AVX-512 object for every machine).
#pragma once

#include <cstddef>
#include <cstdint>

#define ANEMONE_INLINE inline __attribute__((always_inline))

namespace anemone {

// DTYPE(enumerator, MIL name, bytes per element; 0 = not a fixed size)
#define ANEMONE_DTYPES(DTYPE) \
  DTYPE(boolean, "bool", 1)   \
  DTYPE(string, "string", 0)  \
  DTYPE(fp16, "fp16", 2)      \
  DTYPE(bf16, "bf16", 2)      \
  DTYPE(fp32, "fp32", 4)      \
  DTYPE(fp64, "fp64", 8)      \
  DTYPE(int8, "int8", 1)      \
  DTYPE(int16, "int16", 2)    \
  DTYPE(int32, "int32", 4)    \
  DTYPE(int64, "int64", 8)    \
  DTYPE(uint8, "uint8", 1)    \
  DTYPE(uint16, "uint16", 2)  \
  DTYPE(uint32, "uint32", 4)  \
  DTYPE(uint64, "uint64", 8)

enum class DType : std::uint8_t {
#define ANEMONE_ENUMERATOR(name, text, bytes) name,
  ANEMONE_DTYPES(ANEMONE_ENUMERATOR)
#undef ANEMONE_ENUMERATOR
};

ANEMONE_INLINE constexpr std::size_t dtype_size(DType type) {
  switch (type) {
#define ANEMONE_CASE(name, text, bytes) \
  case DType::name:                     \
    return bytes;
    ANEMONE_DTYPES(ANEMONE_CASE)
#undef ANEMONE_CASE
  }
  return 0;
}

// The name in MIL text: "fp16", "bool", …
ANEMONE_INLINE constexpr const char* dtype_name(DType type) {
  switch (type) {
#define ANEMONE_CASE(name, text, bytes) \
  case DType::name:                     \
    return text;
    ANEMONE_DTYPES(ANEMONE_CASE)
#undef ANEMONE_CASE
  }
  return "?";
}

ANEMONE_INLINE constexpr bool is_float(DType type) {
  return type == DType::fp16 || type == DType::bf16 || type == DType::fp32 || type == DType::fp64;
}

// Floats that products are computed of, by kernels of all kinds.
ANEMONE_INLINE constexpr bool is_product_type(DType type) {
  return is_float(type) && type != DType::fp64;
}

ANEMONE_INLINE constexpr bool is_integer(DType type) {
  return type >= DType::int8 && type <= DType::uint64;
}

// IEEE binary16 storage. Arithmetic is done in fp32 or double; conversions round to nearest even.
struct f16 {
  std::uint16_t bits;
};

// The upper half of an IEEE binary32: 8 bits of exponent, 8 significant bits.
struct bf16 {
  std::uint16_t bits;
};

ANEMONE_INLINE std::uint32_t float_bits(float value) {
  return __builtin_bit_cast(std::uint32_t, value);
}
ANEMONE_INLINE float float_from_bits(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }

// Exact: every binary16 number is a binary32 number.
ANEMONE_INLINE float to_float(f16 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = value.bits & 0x7fffu;
  if (magnitude >= 0x7c00u)
    return float_from_bits(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  // Shift the fields into place, then rescale by 2^112: this also makes subnormals right.
  const float scaled = float_from_bits(magnitude << 13) * float_from_bits(0x77800000u);
  return float_from_bits(sign | float_bits(scaled));
}

ANEMONE_INLINE float to_float(bf16 value) {
  return float_from_bits(static_cast<std::uint32_t>(value.bits) << 16);
}

// Round to nearest even from double in one step (a detour over float would round twice).
// Finite values of 65520 and above become infinity; NaN stays NaN.
ANEMONE_INLINE f16 f16_from_double(double value) {
  const std::uint64_t bits = __builtin_bit_cast(std::uint64_t, value);
  const auto sign = static_cast<std::uint16_t>((bits >> 48) & 0x8000u);
  const std::uint64_t magnitude = bits & 0x7fffffffffffffffull;
  if (magnitude > 0x7ff0000000000000ull) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x40effe0000000000ull) return {static_cast<std::uint16_t>(sign | 0x7c00u)};
  const int exponent = static_cast<int>(magnitude >> 52) - 1023;
  if (exponent < -25) return {sign};
  const std::uint64_t significand = (magnitude & 0xfffffffffffffull) | 0x10000000000000ull;
  // Bits below the last kept one: 42 for normal numbers, more for subnormals.
  const int shift = exponent >= -14 ? 42 : 42 + (-14 - exponent);
  std::uint64_t kept = significand >> shift;
  const std::uint64_t rest = significand & ((1ull << shift) - 1);
  const std::uint64_t half = 1ull << (shift - 1);
  if (rest > half || (rest == half && (kept & 1))) ++kept;
  // A carry out of the significand moves into the exponent field, which is just what it should do.
  const std::uint64_t base = exponent >= -14 ? static_cast<std::uint64_t>(exponent + 14) << 10 : 0;
  return {static_cast<std::uint16_t>(sign | (base + kept))};
}

ANEMONE_INLINE f16 f16_from_float(float value) {
  return f16_from_double(static_cast<double>(value));
}

// Round to nearest even; NaN stays a quiet NaN.
ANEMONE_INLINE bf16 bf16_from_float(float value) {
  const std::uint32_t bits = float_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16)};
}

}  // namespace anemone

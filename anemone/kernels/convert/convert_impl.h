// Slot conversions and transpositions, one text for every instruction set.
#pragma once

#include "anemone/kernels/convert/convert.h"
#include "anemone/kernels/simd/simd.h"
#include "anemone/kernels/simd/typed.h"

namespace anemone::kernels {
namespace {

ANEMONE_INLINE float as_float(f16 value) { return to_float(value); }
ANEMONE_INLINE float as_float(bf16 value) { return to_float(value); }
template <class T>
ANEMONE_INLINE float as_float(T value) {
  return static_cast<float>(value);
}

// MIL's bool is one byte; anything but 0 is true.
struct Bool {
  std::uint8_t byte;
};
ANEMONE_INLINE float as_float(Bool value) { return value.byte != 0 ? 1.0f : 0.0f; }

template <class T>
ANEMONE_INLINE void load_any(const void* source, std::ptrdiff_t stride, float* slot,
                             std::ptrdiff_t n) {
  const T* from = static_cast<const T*>(source);
  if (stride == 1) {
    for (std::ptrdiff_t i = 0; i < n; ++i) slot[i] = as_float(from[i]);
  } else if (stride == 0) {
    const float value = as_float(from[0]);
    for (std::ptrdiff_t i = 0; i < n; ++i) slot[i] = value;
  } else {
    for (std::ptrdiff_t i = 0; i < n; ++i) slot[i] = as_float(from[i * stride]);
  }
}

// Contiguous floats: whole vectors, then the rest by element.
template <class T>
ANEMONE_INLINE void load_floats(const void* source, std::ptrdiff_t stride, float* slot,
                                std::ptrdiff_t n) {
  const T* from = static_cast<const T*>(source);
  std::ptrdiff_t i = 0;
  if (stride == 1) {
    for (; i + kLanes <= n; i += kLanes) store(slot + i, load_vector(from + i));
  }
  load_any<T>(from + i * stride, stride, slot + i, n - i);
}

ANEMONE_INLINE float saturate(float value, float lowest, float highest) {
  if (value != value) return 0;
  if (value <= lowest) return lowest;
  return value >= highest ? highest : value;
}

ANEMONE_INLINE void from_float(float value, f16& to) { to = f16_from_float(value); }
ANEMONE_INLINE void from_float(float value, bf16& to) { to = bf16_from_float(value); }
ANEMONE_INLINE void from_float(float value, float& to) { to = value; }
ANEMONE_INLINE void from_float(float value, Bool& to) { to.byte = value != 0; }
ANEMONE_INLINE void from_float(float value, std::int8_t& to) {
  to = static_cast<std::int8_t>(saturate(value, -128, 127));
}
ANEMONE_INLINE void from_float(float value, std::uint8_t& to) {
  to = static_cast<std::uint8_t>(saturate(value, 0, 255));
}
ANEMONE_INLINE void from_float(float value, std::int16_t& to) {
  to = static_cast<std::int16_t>(saturate(value, -32768, 32767));
}
ANEMONE_INLINE void from_float(float value, std::uint16_t& to) {
  to = static_cast<std::uint16_t>(saturate(value, 0, 65535));
}
ANEMONE_INLINE void from_float(float value, std::int32_t& to) {
  // 2^31 - 1 is no float: what lies above the largest float below 2^31 is taken apart.
  to = value >= 2147483648.0f
           ? 2147483647
           : static_cast<std::int32_t>(saturate(value, -2147483648.0f, 2147483520.0f));
}

template <class T>
ANEMONE_INLINE void store_any(const float* slot, void* target, std::ptrdiff_t stride,
                              std::ptrdiff_t n) {
  T* to = static_cast<T*>(target);
  if (stride == 1) {
    for (std::ptrdiff_t i = 0; i < n; ++i) from_float(slot[i], to[i]);
  } else {
    for (std::ptrdiff_t i = 0; i < n; ++i) from_float(slot[i], to[i * stride]);
  }
}

template <class T>
ANEMONE_INLINE void store_floats(const float* slot, void* target, std::ptrdiff_t stride,
                                 std::ptrdiff_t n) {
  T* to = static_cast<T*>(target);
  std::ptrdiff_t i = 0;
  if (stride == 1) {
    for (; i + kLanes <= n; i += kLanes) store_vector(to + i, load(slot + i));
  }
  // The rest in whole vectors too (a slot allows that), through a buffer.
  for (; i < n; i += kLanes) {
    store_vector(to + i * stride, stride, n - i, load(slot + i));
  }
}

// Square blocks, so that both sides stay in the L1 cache.
template <class T>
ANEMONE_INLINE void transpose_blocks(const TransposeArgs& args) {
  constexpr std::ptrdiff_t kBlock = 16;
  const T* in = static_cast<const T*>(args.in);
  T* out = static_cast<T*>(args.out);
  for (std::ptrdiff_t row = 0; row < args.rows; row += kBlock) {
    const std::ptrdiff_t rows = args.rows - row < kBlock ? args.rows - row : kBlock;
    for (std::ptrdiff_t column = 0; column < args.columns; column += kBlock) {
      const std::ptrdiff_t columns =
          args.columns - column < kBlock ? args.columns - column : kBlock;
      const T* from = in + row * args.in_stride + column;
      T* to = out + column * args.out_stride + row;
      for (std::ptrdiff_t c = 0; c < columns; ++c) {
        for (std::ptrdiff_t r = 0; r < rows; ++r)
          to[c * args.out_stride + r] = from[r * args.in_stride + c];
      }
    }
  }
}

}  // namespace

void ANEMONE_KERNEL(load)(DType type, const void* source, std::ptrdiff_t stride, float* slot,
                          std::ptrdiff_t n) noexcept {
  switch (type) {
    case DType::fp16:
      load_floats<f16>(source, stride, slot, n);
      break;
    case DType::bf16:
      load_floats<bf16>(source, stride, slot, n);
      break;
    case DType::fp32:
      load_floats<float>(source, stride, slot, n);
      break;
    case DType::boolean:
      load_any<Bool>(source, stride, slot, n);
      break;
    case DType::int8:
      load_any<std::int8_t>(source, stride, slot, n);
      break;
    case DType::int16:
      load_any<std::int16_t>(source, stride, slot, n);
      break;
    case DType::int32:
      load_any<std::int32_t>(source, stride, slot, n);
      break;
    case DType::uint8:
      load_any<std::uint8_t>(source, stride, slot, n);
      break;
    case DType::uint16:
      load_any<std::uint16_t>(source, stride, slot, n);
      break;
    default:
      break;  // `converts` says no
  }
  for (; n % kSlotMultiple != 0; ++n) slot[n] = 0;
}

void ANEMONE_KERNEL(store)(DType type, const float* slot, void* target, std::ptrdiff_t stride,
                           std::ptrdiff_t n) noexcept {
  switch (type) {
    case DType::fp16:
      store_floats<f16>(slot, target, stride, n);
      break;
    case DType::bf16:
      store_floats<bf16>(slot, target, stride, n);
      break;
    case DType::fp32:
      store_floats<float>(slot, target, stride, n);
      break;
    case DType::boolean:
      store_any<Bool>(slot, target, stride, n);
      break;
    case DType::int8:
      store_any<std::int8_t>(slot, target, stride, n);
      break;
    case DType::int16:
      store_any<std::int16_t>(slot, target, stride, n);
      break;
    case DType::int32:
      store_any<std::int32_t>(slot, target, stride, n);
      break;
    case DType::uint8:
      store_any<std::uint8_t>(slot, target, stride, n);
      break;
    case DType::uint16:
      store_any<std::uint16_t>(slot, target, stride, n);
      break;
    default:
      break;  // `converts` says no
  }
}

void ANEMONE_KERNEL(transpose)(const TransposeArgs& args) noexcept {
  switch (args.element_bytes) {
    case 1:
      transpose_blocks<std::uint8_t>(args);
      break;
    case 2:
      transpose_blocks<std::uint16_t>(args);
      break;
    case 4:
      transpose_blocks<std::uint32_t>(args);
      break;
    case 8:
      transpose_blocks<std::uint64_t>(args);
      break;
    default:
      break;
  }
}

}  // namespace anemone::kernels

// Conversions between memory and fp32 slots, and transpositions. A slot is a run of floats in the
// L1 cache.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/base/dtype.h"
#include "anemone/kernels/table.h"

namespace anemone::kernels {

// Slots are read and written in whole vectors: their size is a multiple of this many floats.
constexpr std::ptrdiff_t kSlotMultiple = 16;

// slot[i] = source[i * stride] for i < n (stride in elements), and 0 up to the next multiple of
// kSlotMultiple. Types: fp16, bf16, fp32, bool, int8, int16, int32, uint8, uint16.
using LoadFn = void(DType type, const void* source, std::ptrdiff_t stride, float* slot,
                    std::ptrdiff_t n) noexcept;

// target[i * stride] = slot[i] for i < n. Floats: to nearest even. Integers: toward zero,
// saturating, NaN becomes 0. bool: 1 if not 0.
using StoreFn = void(DType type, const float* slot, void* target, std::ptrdiff_t stride,
                     std::ptrdiff_t n) noexcept;

// out[c * out_stride + r] = in[r * in_stride + c] for elements of 1, 2, 4 or 8 bytes; strides in
// elements.
struct TransposeArgs {
  const void* in = nullptr;
  void* out = nullptr;
  std::ptrdiff_t in_stride = 0, out_stride = 0;
  std::ptrdiff_t rows = 0, columns = 0;
  std::size_t element_bytes = 4;
};
using TransposeFn = void(const TransposeArgs& args) noexcept;

struct ConvertKernel {
  Isa isa;
  const char* name;
  LoadFn* load;
  StoreFn* store;
  TransposeFn* transpose;
};

KernelTable<ConvertKernel> convert_kernels();
inline const ConvertKernel& pick_convert(const CpuFeatures& features) {
  return convert_kernels().pick(features);
}

bool converts(DType type);  // whether load and store take it

}  // namespace anemone::kernels

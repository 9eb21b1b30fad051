// The table of conversion kernels.
#include "anemone/kernels/convert/convert.h"

namespace anemone::kernels {

#define CONVERT(isa)   \
  LoadFn load_##isa;   \
  StoreFn store_##isa; \
  TransposeFn transpose_##isa;
#include "anemone/kernels/convert/convert.inc"
#undef CONVERT

KernelTable<ConvertKernel> convert_kernels() {
#define CONVERT(isa) {Isa::isa, #isa, load_##isa, store_##isa, transpose_##isa},
  static constexpr ConvertKernel kRows[] = {
#include "anemone/kernels/convert/convert.inc"
  };
#undef CONVERT
  return {kRows, static_cast<int>(sizeof(kRows) / sizeof(kRows[0]))};
}

bool converts(DType type) {
  switch (type) {
    case DType::fp16:
    case DType::bf16:
    case DType::fp32:
    case DType::boolean:
    case DType::int8:
    case DType::int16:
    case DType::int32:
    case DType::uint8:
    case DType::uint16:
      return true;
    default:
      return false;
  }
}

}  // namespace anemone::kernels

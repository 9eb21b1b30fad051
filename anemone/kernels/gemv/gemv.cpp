// The table of matrix-vector kernels.
#include "anemone/kernels/gemv/gemv.h"

namespace anemone::kernels {

#define GEMV(isa)            \
  GemvFn gemv_columns_##isa; \
  GemvFn gemv_rows_##isa;
#include "anemone/kernels/gemv/gemv.inc"
#undef GEMV

KernelTable<GemvKernel> gemv_kernels() {
#define GEMV(isa) {Isa::isa, #isa, gemv_columns_##isa, gemv_rows_##isa},
  static constexpr GemvKernel kRows[] = {
#include "anemone/kernels/gemv/gemv.inc"
  };
#undef GEMV
  return {kRows, static_cast<int>(sizeof(kRows) / sizeof(kRows[0]))};
}

}  // namespace anemone::kernels

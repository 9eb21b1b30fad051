// The table of matrix product kernels.
#include "anemone/kernels/gemm/gemm.h"

namespace anemone::kernels {

#define GEMM(isa, name, suffix, ...) \
  GemmTileFn gemm_tile_##suffix;     \
  GemmPackFn gemm_pack_##suffix;     \
  GemmStoreFn gemm_store_##suffix;
#include "anemone/kernels/gemm/gemm.inc"
#undef GEMM

void gemm_begin_amx() noexcept;
void gemm_end_amx() noexcept;

KernelTable<GemmKernel> gemm_kernels() {
#define GEMM(isa_, name_, suffix, ...) \
  {.isa = Isa::isa_,                   \
   .name = name_,                      \
   __VA_ARGS__,                        \
   .tile = gemm_tile_##suffix,         \
   .pack = gemm_pack_##suffix,         \
   .store = gemm_store_##suffix},
  static constexpr GemmKernel kRows[] = {
#include "anemone/kernels/gemm/gemm.inc"
  };
#undef GEMM
  return {kRows, static_cast<int>(sizeof(kRows) / sizeof(kRows[0]))};
}

namespace {

bool takes(const GemmKernel& row, const GemmProduct& product) {
  const auto is_short = [](DType type) { return type == DType::fp16 || type == DType::bf16; };
  switch (row.takes) {
    case GemmOperands::any:
      return true;
    case GemmOperands::bf16:
      return product.bf16;
    case GemmOperands::fp16:
      return is_short(product.left) && is_short(product.right);
  }
  return false;
}

}  // namespace

const GemmKernel& pick_gemm(const CpuFeatures& features, const GemmProduct& product) {
  const KernelTable<GemmKernel> table = gemm_kernels();
  for (const GemmKernel& row : table) {
    if (features.has(row.isa) && takes(row, product)) return row;
  }
  return table.rows[table.count - 1];
}

}  // namespace anemone::kernels

// The table of matrix product kernels.
#include "anemone/kernels/gemm/gemm.h"

namespace anemone::kernels {

#define GEMM(isa, name, panel, mr, nr, kr, m_block, n_block, k_block, suffix) \
  GemmTileFn gemm_tile_##suffix;                                              \
  GemmPackFn gemm_pack_##suffix;                                              \
  GemmStoreFn gemm_store_##suffix;
#include "anemone/kernels/gemm/gemm.inc"
#undef GEMM

KernelTable<GemmKernel> gemm_kernels() {
#define GEMM(isa, name, panel, mr, nr, kr, m_block, n_block, k_block, suffix) \
  {Isa::isa,                                                                  \
   name,                                                                      \
   DType::panel,                                                              \
   mr,                                                                        \
   nr,                                                                        \
   kr,                                                                        \
   m_block,                                                                   \
   n_block,                                                                   \
   k_block,                                                                   \
   gemm_tile_##suffix,                                                        \
   gemm_pack_##suffix,                                                        \
   gemm_store_##suffix},
  static constexpr GemmKernel kRows[] = {
#include "anemone/kernels/gemm/gemm.inc"
  };
#undef GEMM
  return {kRows, static_cast<int>(sizeof(kRows) / sizeof(kRows[0]))};
}

const GemmKernel& pick_gemm(const CpuFeatures& features, bool bf16_products) {
  const KernelTable<GemmKernel> table = gemm_kernels();
  for (const GemmKernel& row : table) {
    if (features.has(row.isa) && (row.panel != DType::bf16 || bf16_products)) return row;
  }
  return table.rows[table.count - 1];
}

}  // namespace anemone::kernels

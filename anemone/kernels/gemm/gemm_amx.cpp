// Matrix products on AMX: of operands rounded to bf16, and of fp16 operands as they are, each the
// sum of two bf16 numbers (high and low plane of a panel), of whose products the smallest, low ·
// low, is left out: at most 2^-16 of a product. The rows differ in nothing but the number of
// planes.
#include "anemone/kernels/gemm/gemm_amx_pack.h"
#include "anemone/kernels/gemm/gemm_amx_tile.h"

namespace anemone::kernels {

void gemm_begin_amx() noexcept {
  const TileConfig config;
  configure_tiles(config);
}
void gemm_end_amx() noexcept { release_tiles(); }

void gemm_tile_bf16_amx(const GemmTile& args) noexcept { multiply_amx<1>(args); }
void gemm_pack_bf16_amx(const GemmPack& args) noexcept { pack_amx<1>(args); }
void gemm_store_bf16_amx(const GemmStore& args) noexcept { store_tile(args); }

void gemm_tile_fp16_amx(const GemmTile& args) noexcept { multiply_amx<2>(args); }
void gemm_pack_fp16_amx(const GemmPack& args) noexcept { pack_amx<2>(args); }
void gemm_store_fp16_amx(const GemmStore& args) noexcept { store_tile(args); }

}  // namespace anemone::kernels

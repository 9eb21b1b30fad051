// Matrix products for AVX-512, 14 x 32 tiles: 28 accumulators, 2 vectors of the right panel and a
// broadcast in 32 registers.
#include "anemone/kernels/gemm/gemm_impl.h"

namespace anemone::kernels {

void gemm_tile_avx512(const GemmTile& args) noexcept { multiply<FloatProduct, 14, 32>(args); }
void gemm_pack_avx512(const GemmPack& args) noexcept { pack_panel(args); }
void gemm_store_avx512(const GemmStore& args) noexcept { store_tile(args); }

}  // namespace anemone::kernels

// Matrix products for AVX2, 6 x 16 tiles: 12 accumulators, 2 vectors of the right panel and a
// broadcast in 16 registers.
#include "anemone/kernels/gemm/gemm_impl.h"

namespace anemone::kernels {

void gemm_tile_avx2(const GemmTile& args) noexcept { multiply<FloatProduct, 6, 16>(args); }
void gemm_pack_avx2(const GemmPack& args) noexcept { pack_panel(args); }
void gemm_store_avx2(const GemmStore& args) noexcept { store_tile(args); }

}  // namespace anemone::kernels

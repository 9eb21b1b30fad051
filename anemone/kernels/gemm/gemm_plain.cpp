// Matrix products for any processor, 4 x 8 tiles: 8 accumulators, 2 vectors of the right panel and
// a broadcast in 16 registers (SSE2).
#include "anemone/kernels/gemm/gemm_impl.h"

namespace anemone::kernels {

void gemm_tile_plain(const GemmTile& args) noexcept { multiply<FloatProduct, 4, 8>(args); }
void gemm_pack_plain(const GemmPack& args) noexcept { pack_panel(args); }
void gemm_store_plain(const GemmStore& args) noexcept { store_tile(args); }

}  // namespace anemone::kernels

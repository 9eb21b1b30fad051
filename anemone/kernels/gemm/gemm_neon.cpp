// Matrix products for NEON, 8 x 12 tiles: 24 accumulators, 3 vectors of the right panel and 2 of
// the left one in 32 registers. Whole tiles take factors from lanes of a vector; with a load for
// each factor, as elsewhere, g++ runs out of registers.
#include "anemone/kernels/gemm/gemm_impl.h"

namespace anemone::kernels {
namespace {

constexpr int kRows = 8, kColumns = 12, kVectors = kColumns / kLanes;

template <int Row = 0>
ANEMONE_INLINE void multiply_depth(Float (&sum)[kRows][kVectors], const Float (&a)[2],
                                   const Float (&b)[kVectors]) {
  ANEMONE_UNROLL
  for (int v = 0; v < kVectors; ++v)
    sum[Row][v] = vfmaq_laneq_f32(sum[Row][v], b[v], a[Row / kLanes], Row % kLanes);
  if constexpr (Row + 1 < kRows) multiply_depth<Row + 1>(sum, a, b);
}

void multiply_whole(const GemmTile& args) {
  const auto* left = static_cast<const float*>(args.left);
  const auto* right = static_cast<const float*>(args.right);
  float* const tile = args.tile;
  Float sum[kRows][kVectors];
  ANEMONE_UNROLL
  for (int i = 0; i < kRows * kVectors; ++i)
    sum[i / kVectors][i % kVectors] = args.accumulate ? load(tile + i * kLanes) : broadcast(0);
  for (std::ptrdiff_t p = 0; p < args.k; ++p, left += kRows, right += kColumns) {
    const Float a[2] = {load(left), load(left + kLanes)};
    const Float b[kVectors] = {load(right), load(right + kLanes), load(right + 2 * kLanes)};
    multiply_depth(sum, a, b);
  }
  ANEMONE_UNROLL
  for (int i = 0; i < kRows * kVectors; ++i)
    store(tile + i * kLanes, sum[i / kVectors][i % kVectors]);
}

}  // namespace

void gemm_tile_neon(const GemmTile& args) noexcept {
  if (args.rows == kRows && args.columns > kColumns - kLanes) {
    multiply_whole(args);
  } else {
    multiply<FloatProduct, kRows, kColumns>(args);
  }
}
void gemm_pack_neon(const GemmPack& args) noexcept { pack_panel(args); }
void gemm_store_neon(const GemmStore& args) noexcept { store_tile(args); }

}  // namespace anemone::kernels

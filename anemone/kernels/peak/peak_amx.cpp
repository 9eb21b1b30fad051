// The peak of bf16 products on tiles: six sums in turn, more than the four that hide the latency of
// 52 cycles behind products of 16, and operands that stay in their registers.
#include "anemone/kernels/peak/peak_impl.h"
#include "anemone/kernels/simd/tiles.h"

namespace anemone::kernels {
namespace {

constexpr int kA = 6, kB = 7;

ANEMONE_INLINE void load_constant(float value, bf16 (&tile)[kTileBytes / 2]) {
  for (bf16& element : tile) element = bf16_from_float(value);
}

}  // namespace

float peak_amx(std::int64_t rounds, float factor, float term) noexcept {
  alignas(64) bf16 a[kTileBytes / 2], b[kTileBytes / 2];
  alignas(64) float sum[kTileBytes / 4];
  load_constant(factor, a);
  load_constant(term, b);
  const TileConfig config;
  configure_tiles(config);
  load_tile<kA>(a, kTileRowBytes);
  load_tile<kB>(b, kTileRowBytes);
  zero_tile<0>();
  zero_tile<1>();
  zero_tile<2>();
  zero_tile<3>();
  zero_tile<4>();
  zero_tile<5>();
  for (std::int64_t round = 0; round < rounds; ++round) {
    multiply_bf16_tiles<0, kA, kB>();
    multiply_bf16_tiles<1, kA, kB>();
    multiply_bf16_tiles<2, kA, kB>();
    multiply_bf16_tiles<3, kA, kB>();
    multiply_bf16_tiles<4, kA, kB>();
    multiply_bf16_tiles<5, kA, kB>();
  }
  store_tile_to<5>(sum, kTileRowBytes);
  release_tiles();
  return sum[0];
}

}  // namespace anemone::kernels

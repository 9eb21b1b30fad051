// The AMX tile instructions, by inline assembly: g++ 12's intrinsics for them are string macros
// whose operands the compiler does not see, so it may delete the memory they read (design.md
// section 6).
//
// Tiles are state of a thread like registers, but the compiler knows nothing of them: what is
// loaded stays until code of ours changes it or releases the tiles. Every function here is
// volatile, so they stay in the order written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/dtype.h"

namespace anemone::kernels {
namespace {

constexpr int kTileRows = 16, kTileRowBytes = 64, kTileBytes = kTileRows * kTileRowBytes;
constexpr int kTiles = 8;

// What ldtilecfg reads: eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

ANEMONE_INLINE void configure_tiles(const TileConfig& config) {
  asm volatile("ldtilecfg %0" : : "m"(config));
}

// Tiles in use make every switch of threads save and restore 8 KiB more.
ANEMONE_INLINE void release_tiles() { asm volatile("tilerelease"); }

template <int Tile>
ANEMONE_INLINE void zero_tile() {
  asm volatile("tilezero %%tmm%c0" : : "i"(Tile));
}

// 16 rows of 64 bytes from p + Offset, p + Offset + stride, …; stride in bytes.
template <int Tile, int Offset = 0>
ANEMONE_INLINE void load_tile(const void* p, std::ptrdiff_t stride) {
  asm volatile("tileloadd %c1(%2,%3,1), %%tmm%c0"
               :
               : "i"(Tile), "i"(Offset), "r"(p), "r"(stride)
               : "memory");
}

// The same for data that need not stay in the L1 cache.
template <int Tile, int Offset = 0>
ANEMONE_INLINE void stream_tile(const void* p, std::ptrdiff_t stride) {
  asm volatile("tileloaddt1 %c1(%2,%3,1), %%tmm%c0"
               :
               : "i"(Tile), "i"(Offset), "r"(p), "r"(stride)
               : "memory");
}

template <int Tile, int Offset = 0>
ANEMONE_INLINE void store_tile_to(void* p, std::ptrdiff_t stride) {
  asm volatile("tilestored %%tmm%c0, %c1(%2,%3,1)"
               :
               : "i"(Tile), "i"(Offset), "r"(p), "r"(stride)
               : "memory");
}

// Sum[m][n] += Σ_k A[m][2k] · B[k][2n] + A[m][2k + 1] · B[k][2n + 1], in fp32 from bf16.
template <int Sum, int A, int B>
ANEMONE_INLINE void multiply_bf16_tiles() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(A), "i"(B));
}

}  // namespace
}  // namespace anemone::kernels

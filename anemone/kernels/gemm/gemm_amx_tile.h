// Matrix products on AMX: 32 x 32 of C in four tiles, two tiles of each operand.
//
// A step is 32 depths. Each of its two left and two right tiles is read once and multiplied twice,
// so that a step of one plane is 4 loads (8 cycles each) beside 4 products (16 cycles each). Panels
// hold tiles as they are loaded, 1 KiB in a piece. The right panel is used again and again and
// should stay in L1; the left ones come from L2 and are loaded so that they need not push it out.
#pragma once

#include "anemone/kernels/gemm/gemm_impl.h"
#include "anemone/kernels/simd/tiles.h"

namespace anemone::kernels {
namespace {

constexpr int kAmxWidth = 32;  // lanes of a panel
constexpr int kAmxDepths = 32;
constexpr int kPlaneBytes = kAmxWidth * kAmxDepths * 2;

// Tile registers: C in 0 to 3, A in 4 and 5, B in 6 and 7.
constexpr int kA0 = 4, kA1 = 5, kB0 = 6, kB1 = 7;

template <int RowTiles, int ColumnTiles>
struct AmxTiles {
  template <int Plane>
  static ANEMONE_INLINE void load_a0(const std::byte* left) {
    stream_tile<kA0, Plane * kPlaneBytes>(left, kTileRowBytes);
  }
  template <int Plane>
  static ANEMONE_INLINE void load_a1(const std::byte* left) {
    if constexpr (RowTiles == 2)
      stream_tile<kA1, Plane * kPlaneBytes + kTileBytes>(left, kTileRowBytes);
  }
  template <int Plane>
  static ANEMONE_INLINE void load_b0(const std::byte* right) {
    load_tile<kB0, Plane * kPlaneBytes>(right, kTileRowBytes);
  }
  template <int Plane>
  static ANEMONE_INLINE void load_b1(const std::byte* right) {
    if constexpr (ColumnTiles == 2)
      load_tile<kB1, Plane * kPlaneBytes + kTileBytes>(right, kTileRowBytes);
  }
  static ANEMONE_INLINE void multiply00() { multiply_bf16_tiles<0, kA0, kB0>(); }
  static ANEMONE_INLINE void multiply01() {
    if constexpr (ColumnTiles == 2) multiply_bf16_tiles<1, kA0, kB1>();
  }
  static ANEMONE_INLINE void multiply10() {
    if constexpr (RowTiles == 2) multiply_bf16_tiles<2, kA1, kB0>();
  }
  static ANEMONE_INLINE void multiply11() {
    if constexpr (RowTiles == 2 && ColumnTiles == 2) multiply_bf16_tiles<3, kA1, kB1>();
  }

  // Loads stand between products, each as early as a register is free. The four sums always take
  // turns in the same order: a sum is needed again after 64 cycles and is ready after 52.
  static ANEMONE_INLINE void step_one_plane(const std::byte* left, const std::byte* right) {
    load_b0<0>(right);
    load_a0<0>(left);
    multiply00();
    load_b1<0>(right);
    multiply01();
    load_a1<0>(left);
    multiply10();
    multiply11();
  }

  // (high + low) · (high + low) without low · low: each plane is loaded once.
  static ANEMONE_INLINE void step_two_planes(const std::byte* left, const std::byte* right) {
    constexpr int kHigh = 0, kLow = 1;
    load_b0<kLow>(right);
    load_a0<kHigh>(left);
    multiply00();
    load_b1<kLow>(right);
    multiply01();
    load_a1<kHigh>(left);
    multiply10();
    multiply11();
    load_b0<kHigh>(right);
    multiply00();
    load_b1<kHigh>(right);
    multiply01();
    multiply10();
    multiply11();
    load_a0<kLow>(left);
    multiply00();
    multiply01();
    load_a1<kLow>(left);
    multiply10();
    multiply11();
  }

  // C between registers and the tile in memory.
  static ANEMONE_INLINE void begin(const GemmTile& args, std::ptrdiff_t stride) {
    constexpr int kRight = kTileRowBytes;
    float* lower = args.tile + kTileRows * kAmxWidth;
    if (args.accumulate) {
      load_tile<0>(args.tile, stride);
      if constexpr (ColumnTiles == 2) load_tile<1, kRight>(args.tile, stride);
      if constexpr (RowTiles == 2) load_tile<2>(lower, stride);
      if constexpr (RowTiles == 2 && ColumnTiles == 2) load_tile<3, kRight>(lower, stride);
      return;
    }
    zero_tile<0>();
    if constexpr (ColumnTiles == 2) zero_tile<1>();
    if constexpr (RowTiles == 2) zero_tile<2>();
    if constexpr (RowTiles == 2 && ColumnTiles == 2) zero_tile<3>();
  }
  static ANEMONE_INLINE void end(const GemmTile& args, std::ptrdiff_t stride) {
    constexpr int kRight = kTileRowBytes;
    float* lower = args.tile + kTileRows * kAmxWidth;
    store_tile_to<0>(args.tile, stride);
    if constexpr (ColumnTiles == 2) store_tile_to<1, kRight>(args.tile, stride);
    if constexpr (RowTiles == 2) store_tile_to<2>(lower, stride);
    if constexpr (RowTiles == 2 && ColumnTiles == 2) store_tile_to<3, kRight>(lower, stride);
  }
};

// The tile before this one is stored a few rows a step: the vector units do that while the tile
// unit works. In one piece it would fill the reorder buffer, and the tile unit would run dry.
template <int Planes, int RowTiles, int ColumnTiles>
ANEMONE_INLINE void multiply_amx_tiles(const GemmTile& args) {
  using Tiles = AmxTiles<RowTiles, ColumnTiles>;
  constexpr std::ptrdiff_t kStride = kAmxWidth * sizeof(float);
  const auto* left = static_cast<const std::byte*>(args.left);
  const auto* right = static_cast<const std::byte*>(args.right);
  const std::ptrdiff_t steps = args.k / kAmxDepths;
  const int rows = args.meanwhile != nullptr ? args.meanwhile->rows : 0;
  const int rows_a_step = rows == 0 || steps == 0 ? rows : static_cast<int>((rows - 1) / steps) + 1;
  int row = 0;
  Tiles::begin(args, kStride);
  for (std::ptrdiff_t step = 0; step < steps; ++step) {
    if constexpr (Planes == 2) {
      Tiles::step_two_planes(left, right);
    } else {
      Tiles::step_one_plane(left, right);
    }
    left += Planes * kPlaneBytes;
    right += Planes * kPlaneBytes;
    if (row < rows) {
      const int end = row + rows_a_step < rows ? row + rows_a_step : rows;
      store_rows(*args.meanwhile, row, end);
      row = end;
    }
  }
  Tiles::end(args, kStride);
  if (row < rows) store_rows(*args.meanwhile, row, rows);  // there was no step
}

template <int Planes>
ANEMONE_INLINE void multiply_amx(const GemmTile& args) {
  const bool wide = args.columns > kTileRows, tall = args.rows > kTileRows;
  if (tall && wide) return multiply_amx_tiles<Planes, 2, 2>(args);
  if (tall) return multiply_amx_tiles<Planes, 2, 1>(args);
  if (wide) return multiply_amx_tiles<Planes, 1, 2>(args);
  multiply_amx_tiles<Planes, 1, 1>(args);
}

}  // namespace
}  // namespace anemone::kernels

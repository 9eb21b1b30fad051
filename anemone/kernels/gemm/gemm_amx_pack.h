// Packing for AMX: a panel is a run of tiles, for each step of 32 depths the planes, for each plane
// two groups of 16 lanes. A row of a left tile is a lane with its 32 depths, a row of a right tile
// a pair of depths with its 16 lanes.
//
// Both are 16 vectors of 16 pairs, and one is the other transposed; a source has either its depths
// or its lanes side by side. So there are two ways to read, and a transposition where the way does
// not fit the panel.
#pragma once

#include "anemone/kernels/gemm/gemm_impl.h"
#include "anemone/kernels/simd/tiles.h"

namespace anemone::kernels {
namespace {

constexpr int kPackLanes = 16, kPackDepths = 32;  // of a tile
constexpr int kTileElements = kPackLanes * kPackDepths;

ANEMONE_INLINE Float lower_as_floats(__m512i bf16s) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(bf16s));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
ANEMONE_INLINE Float upper_as_floats(__m512i bf16s) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(bf16s, 1));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
// 32 floats as bf16, `first` in the lower half: rounded, or as sums of two, which is exact for
// fp16. An infinity becomes inf + NaN.
template <int Planes>
struct Bf16Planes {
  __m512i plane[Planes];
  ANEMONE_INLINE Bf16Planes(Float first, Float second) {
    plane[0] = as_bf16s(first, second);
    if constexpr (Planes == 2) {
      plane[1] =
          as_bf16s(sub(first, lower_as_floats(plane[0])), sub(second, upper_as_floats(plane[0])));
    }
  }
};

// 16 neighbours, of which `have` exist (Whole: all); 0 for the others.
template <bool Whole, class T>
ANEMONE_INLINE Float load_for_pack(const GemmPack& args, const T* from, std::ptrdiff_t have) {
  Float a;
  if (Whole || have >= kLanes) {
    a = load_vector(from);
  } else {
    a = have > 0 ? load_vector(from, have) : broadcast(0);
  }
  // Other rounding than of fp32 comes staged.
  if constexpr (sizeof(T) == sizeof(float)) return round_operand(args, a);
  return a;
}

// Vector i of a tile: from a source whose depths lie side by side, lane i with 32 depths.
template <int Planes, class T>
struct DepthsAdjacent {
  static constexpr bool kByLane = true;
  template <bool Whole>
  static ANEMONE_INLINE Bf16Planes<Planes> read(const GemmPack& args, std::ptrdiff_t lane,
                                                std::ptrdiff_t depth, int i) {
    const std::ptrdiff_t have = lane + i < args.lanes ? args.k - depth : 0;
    const T* from = static_cast<const T*>(args.source);
    if (Whole || have > 0) from += (lane + i) * args.lane_stride + depth;
    const T* next = Whole || have > kLanes ? from + kLanes : from;
    return {load_for_pack<Whole>(args, from, have),
            load_for_pack<Whole>(args, next, have - kLanes)};
  }
};

// From a source whose lanes lie side by side, depths 2i and 2i + 1 of 16 lanes.
template <int Planes, class T>
struct LanesAdjacent {
  static constexpr bool kByLane = false;
  template <bool Whole>
  static ANEMONE_INLINE Bf16Planes<Planes> read(const GemmPack& args, std::ptrdiff_t lane,
                                                std::ptrdiff_t depth, int i) {
    const std::ptrdiff_t even = depth + 2 * i, have = args.lanes - lane;
    const bool has_even = even < args.k, has_odd = even + 1 < args.k;
    const T* from = static_cast<const T*>(args.source);
    if (Whole || (has_even && have > 0)) from += even * args.depth_stride + lane;
    const T* next = Whole || (has_odd && have > 0) ? from + args.depth_stride : from;
    Bf16Planes<Planes> made(load_for_pack<Whole>(args, from, has_even ? have : 0),
                            load_for_pack<Whole>(args, next, has_odd ? have : 0));
    ANEMONE_UNROLL
    for (int plane = 0; plane < Planes; ++plane)
      made.plane[plane] = interleave_halves(made.plane[plane]);
    return made;
  }
};

void transpose_packed(bf16* tile) {
  Float square[16];
  ANEMONE_UNROLL
  for (int i = 0; i < 16; ++i)
    square[i] = _mm512_castsi512_ps(_mm512_load_si512(tile + i * kPackDepths));
  transpose_square(square);
  ANEMONE_UNROLL
  for (int i = 0; i < 16; ++i)
    _mm512_store_si512(tile + i * kPackDepths, _mm512_castps_si512(square[i]));
}

template <int Planes, class Reader, bool Whole>
ANEMONE_INLINE void read_tile(const GemmPack& args, std::ptrdiff_t lane, std::ptrdiff_t depth,
                              bf16* to, std::ptrdiff_t plane_elements) {
  for (int i = 0; i < 16; ++i) {
    const Bf16Planes<Planes> read = Reader::template read<Whole>(args, lane, depth, i);
    ANEMONE_UNROLL
    for (int plane = 0; plane < Planes; ++plane)
      _mm512_store_si512(to + plane * plane_elements + i * kPackDepths, read.plane[plane]);
  }
}

// One tile of every plane, `plane_elements` apart.
template <int Planes, class Reader, bool Left>
ANEMONE_INLINE void pack_tile(const GemmPack& args, std::ptrdiff_t lane, std::ptrdiff_t depth,
                              bf16* to, std::ptrdiff_t plane_elements) {
  if (lane + kPackLanes <= args.lanes && depth + kPackDepths <= args.k) {
    read_tile<Planes, Reader, true>(args, lane, depth, to, plane_elements);
  } else {
    read_tile<Planes, Reader, false>(args, lane, depth, to, plane_elements);
  }
  if constexpr (Reader::kByLane != Left) {
    for (int plane = 0; plane < Planes; ++plane) transpose_packed(to + plane * plane_elements);
  }
}

template <int Planes, class Reader, bool Left>
void pack_tiles(const GemmPack& args) {
  bf16* to = static_cast<bf16*>(args.panel);
  const std::ptrdiff_t plane_elements = static_cast<std::ptrdiff_t>(args.width) * kPackDepths;
  for (std::ptrdiff_t depth = 0; depth < args.k; depth += kPackDepths) {
    for (int lane = 0; lane < args.width; lane += kPackLanes) {
      pack_tile<Planes, Reader, Left>(args, lane, depth, to + lane * kPackDepths, plane_elements);
    }
    to += Planes * plane_elements;
  }
}

// Sources without neighbours, or to be rounded in an unusual way: 16 lanes of 32 depths at a time
// are gathered as fp32.
template <int Planes, class T, bool Left>
void pack_staged(const GemmPack& args) {
  alignas(64) float stage[kTileElements];
  GemmPack staged = args;
  staged.source = stage;
  staged.lane_stride = kPackDepths;
  bf16* to = static_cast<bf16*>(args.panel);
  const std::ptrdiff_t plane_elements = static_cast<std::ptrdiff_t>(args.width) * kPackDepths;
  for (std::ptrdiff_t depth = 0; depth < args.k; depth += kPackDepths) {
    staged.k = args.k - depth < kPackDepths ? args.k - depth : kPackDepths;
    for (int lane = 0; lane < args.width; lane += kPackLanes) {
      const int have = args.lanes - lane < kPackLanes ? args.lanes - lane : kPackLanes;
      staged.lanes = have > 0 ? have : 0;
      const T* from = static_cast<const T*>(args.source) + depth * args.depth_stride;
      for (int i = 0; i < staged.lanes; ++i) {
        for (std::ptrdiff_t p = 0; p < staged.k; ++p) {
          stage[i * kPackDepths + p] =
              one_float(from[(lane + i) * args.lane_stride + p * args.depth_stride]);
        }
      }
      pack_tile<Planes, DepthsAdjacent<Planes, float>, Left>(staged, 0, 0, to + lane * kPackDepths,
                                                             plane_elements);
    }
    to += Planes * plane_elements;
  }
}

template <int Planes, class T, bool Left>
ANEMONE_INLINE void pack_amx_side(const GemmPack& args) {
  const bool rounds = args.round_fp16 || (Planes == 2 && args.round_bf16);
  if (rounds && sizeof(T) != sizeof(float)) {
    pack_staged<Planes, T, Left>(args);
  } else if (args.lane_stride == 1) {
    pack_tiles<Planes, LanesAdjacent<Planes, T>, Left>(args);
  } else if (args.depth_stride == 1) {
    pack_tiles<Planes, DepthsAdjacent<Planes, T>, Left>(args);
  } else {
    pack_staged<Planes, T, Left>(args);
  }
}

template <int Planes, class T>
ANEMONE_INLINE void pack_amx_typed(const GemmPack& args) {
  if (args.left) {
    pack_amx_side<Planes, T, true>(args);
  } else {
    pack_amx_side<Planes, T, false>(args);
  }
}

template <int Planes>
ANEMONE_INLINE void pack_amx(const GemmPack& args) {
  switch (args.type) {
    case DType::fp16:
      pack_amx_typed<Planes, f16>(args);
      break;
    case DType::bf16:
      pack_amx_typed<Planes, bf16>(args);
      break;
    default:
      pack_amx_typed<Planes, float>(args);
      break;
  }
}

}  // namespace
}  // namespace anemone::kernels

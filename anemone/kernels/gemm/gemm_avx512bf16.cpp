// Matrix products of bf16 pairs with vdpbf16ps, 14 x 32 tiles: each instruction adds two products
// per lane. The instruction takes subnormal numbers for zero, and its sums are not rounded quite as
// fp32's are; both are far below bf16's own rounding.
#include "anemone/kernels/gemm/gemm_impl.h"

namespace anemone::kernels {
namespace {

// Depths 2q (low half) and 2q + 1 (high half) of one lane.
using Pair = std::uint32_t;

struct Bf16Product {
  using Element = Pair;
  using Vector = __m512i;
  static constexpr int kDepths = 2;
  static ANEMONE_INLINE Vector load_row(const Element* p) { return _mm512_loadu_si512(p); }
  static ANEMONE_INLINE Vector broadcast_one(const Element* p) {
    return _mm512_set1_epi32(static_cast<int>(*p));
  }
  static ANEMONE_INLINE Float multiply_add(Vector a, Vector b, Float sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};

ANEMONE_INLINE void store_pairs(Pair* to, int n, __m512i pairs) {
  if (n >= kLanes) {
    _mm512_storeu_si512(to, pairs);
  } else {
    _mm512_mask_storeu_epi32(to, static_cast<Mask>((1u << n) - 1), pairs);
  }
}

template <class T>
ANEMONE_INLINE Float load_at_most(const T* from, std::ptrdiff_t n, bool fp16) {
  const Float a = n >= kLanes ? load_vector(from) : load_vector(from, n > 0 ? n : 0);
  return fp16 ? round_f16(a) : a;
}

// Lanes are neighbours in memory: two rows of the source make one of the panel.
template <class T>
ANEMONE_INLINE void pack_lane_pairs(const GemmPack& args) {
  const T* from = static_cast<const T*>(args.source);
  Pair* to = static_cast<Pair*>(args.panel);
  for (std::ptrdiff_t p = 0; p < args.k; p += 2, from += 2 * args.depth_stride, to += args.width) {
    for (int lane = 0; lane < args.width; lane += kLanes) {
      const int have = args.lanes - lane;
      const Float even = load_at_most(from + lane, have, args.round_fp16);
      const Float odd = p + 1 < args.k
                            ? load_at_most(from + args.depth_stride + lane, have, args.round_fp16)
                            : broadcast(0);
      store_pairs(to + lane, args.width - lane, interleave_halves(as_bf16s(even, odd)));
    }
  }
}

// Depths are neighbours in memory: 16 lanes of 16 pairs are transposed in registers.
template <class T>
ANEMONE_INLINE void pack_depth_pairs(const GemmPack& args) {
  for (int lane = 0; lane < args.width; lane += kLanes) {
    const int have = args.lanes - lane;
    const T* from = static_cast<const T*>(args.source) + lane * args.lane_stride;
    Pair* to = static_cast<Pair*>(args.panel) + lane;
    for (std::ptrdiff_t p = 0; p < args.k; p += 2 * kLanes, to += kLanes * args.width) {
      Float square[kLanes];
      ANEMONE_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        const std::ptrdiff_t n = i < have ? args.k - p : 0;
        const T* row = n > 0 ? from + i * args.lane_stride + p : from;
        const T* next = n > kLanes ? row + kLanes : row;
        square[i] = _mm512_castsi512_ps(as_bf16s(load_at_most(row, n, args.round_fp16),
                                                 load_at_most(next, n - kLanes, args.round_fp16)));
      }
      transpose_square(square);
      ANEMONE_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        if (2 * i >= args.k - p) continue;
        store_pairs(to + i * args.width, args.width - lane, _mm512_castps_si512(square[i]));
      }
    }
  }
}

template <class T>
ANEMONE_INLINE void pack_strided_pairs(const GemmPack& args) {
  const T* from = static_cast<const T*>(args.source);
  bf16* to = static_cast<bf16*>(args.panel);
  for (std::ptrdiff_t p = 0; p < args.k; p += 2) {
    for (int lane = 0; lane < args.width; ++lane) {
      for (std::ptrdiff_t depth = p; depth < p + 2; ++depth) {
        float a = 0;
        if (lane < args.lanes && depth < args.k) {
          a = one_float(from[lane * args.lane_stride + depth * args.depth_stride]);
        }
        if (args.round_fp16) a = to_float(f16_from_float(a));
        *to++ = bf16_from_float(a);
      }
    }
  }
}

template <class T>
ANEMONE_INLINE void pack_pairs(const GemmPack& args) {
  if (args.lane_stride == 1) {
    pack_lane_pairs<T>(args);
  } else if (args.depth_stride == 1) {
    pack_depth_pairs<T>(args);
  } else {
    pack_strided_pairs<T>(args);
  }
}

}  // namespace

void gemm_tile_avx512bf16(const GemmTile& args) noexcept { multiply<Bf16Product, 14, 32>(args); }

void gemm_pack_avx512bf16(const GemmPack& args) noexcept {
  switch (args.type) {
    case DType::fp16:
      pack_pairs<f16>(args);
      break;
    case DType::bf16:
      pack_pairs<bf16>(args);
      break;
    default:
      pack_pairs<float>(args);
      break;
  }
}

void gemm_store_avx512bf16(const GemmStore& args) noexcept { store_tile(args); }

}  // namespace anemone::kernels

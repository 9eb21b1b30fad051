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

template <bool Round, class T>
ANEMONE_INLINE Float load_rounded(const T* from) {
  const Float a = load_vector(from);
  return Round ? round_f16(a) : a;
}
template <bool Round, class T>
ANEMONE_INLINE Float load_rounded(const T* from, std::ptrdiff_t n) {
  const Float a = n >= kLanes ? load_vector(from) : load_vector(from, n > 0 ? n : 0);
  return Round ? round_f16(a) : a;
}

// Up to 16 lanes of a panel, from `lane` on: how many the source has, and which the panel has.
struct LaneGroup {
  int have;
  Mask present, wanted;
};
ANEMONE_INLINE LaneGroup lane_group(const GemmPack& args, int lane) {
  const auto clamped = [](int n) { return n < 0 ? 0 : n > kLanes ? kLanes : n; };
  const auto first = [](int n) { return static_cast<Mask>((1u << n) - 1); };
  const int have = clamped(args.lanes - lane);
  return {have, first(have), first(clamped(args.width - lane))};
}

// Lanes are neighbours in memory: two rows of the source make one of the panel. `args` is a copy,
// so that the compiler knows that storing changes nothing in it.
template <class T, bool Round, bool Whole>
ANEMONE_INLINE void pack_lane_group(const GemmPack args, int lane, const LaneGroup group) {
  const T* from = static_cast<const T*>(args.source) + lane;
  Pair* to = static_cast<Pair*>(args.panel) + lane;
  const auto row = [&](const T* at) {
    return Whole ? load_rounded<Round>(at) : load_rounded<Round>(at, group.have);
  };
  for (std::ptrdiff_t p = 0; p < args.k; p += 2, from += 2 * args.depth_stride, to += args.width) {
    const Float odd = p + 1 < args.k ? row(from + args.depth_stride) : broadcast(0);
    _mm512_mask_storeu_epi32(to, group.wanted, interleave_halves(as_bf16s(row(from), odd)));
  }
}

template <class T, bool Round>
ANEMONE_INLINE void pack_lane_pairs(const GemmPack& args) {
  for (int lane = 0; lane < args.width; lane += kLanes) {
    const LaneGroup group = lane_group(args, lane);
    if (group.have == kLanes) {
      pack_lane_group<T, Round, true>(args, lane, group);
    } else {
      pack_lane_group<T, Round, false>(args, lane, group);
    }
  }
}

// Depths are neighbours in memory: 16 lanes of 16 pairs are transposed in registers. `from` is the
// first depth of lane 0; lanes that the source has not repeat its last one and become 0 at the end.
template <class T, bool Round, bool Whole>
ANEMONE_INLINE void pack_square(const T* from, std::ptrdiff_t lane_stride, std::ptrdiff_t depths,
                                const LaneGroup group, Pair* to, std::ptrdiff_t width) {
  Float square[kLanes];
  ANEMONE_UNROLL
  for (int i = 0; i < kLanes; ++i) {
    const T* row = from + (i < group.have ? i : group.have - 1) * lane_stride;
    const Float first = Whole ? load_rounded<Round>(row) : load_rounded<Round>(row, depths);
    const Float second =
        Whole ? load_rounded<Round>(row + kLanes)
              : load_rounded<Round>(depths > kLanes ? row + kLanes : row, depths - kLanes);
    square[i] = _mm512_castsi512_ps(as_bf16s(first, second));
  }
  transpose_square(square);
  ANEMONE_UNROLL
  for (int i = 0; i < kLanes; ++i) {
    if (!Whole && 2 * i >= depths) continue;
    const __m512i pairs = _mm512_maskz_mov_epi32(group.present, _mm512_castps_si512(square[i]));
    _mm512_mask_storeu_epi32(to + i * width, group.wanted, pairs);
  }
}

template <class T, bool Round>
ANEMONE_INLINE void pack_depth_pairs(const GemmPack args) {
  for (int lane = 0; lane < args.width; lane += kLanes) {
    LaneGroup group = lane_group(args, lane);
    const T* from = static_cast<const T*>(args.source);
    if (group.have > 0) {
      from += lane * args.lane_stride;
    } else {
      group.have = 1;  // of lane 0, of which nothing is kept
    }
    Pair* to = static_cast<Pair*>(args.panel) + lane;
    std::ptrdiff_t left = args.k;
    for (; left >= 2 * kLanes; left -= 2 * kLanes, from += 2 * kLanes, to += kLanes * args.width)
      pack_square<T, Round, true>(from, args.lane_stride, left, group, to, args.width);
    if (left > 0) pack_square<T, Round, false>(from, args.lane_stride, left, group, to, args.width);
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

// Functions of their own: as one, a sanitizer build of them takes a minute.
template <class T, bool Round>
[[gnu::noinline]] void pack_pairs(const GemmPack& args) {
  if (args.lane_stride == 1) {
    pack_lane_pairs<T, Round>(args);
  } else if (args.depth_stride == 1) {
    pack_depth_pairs<T, Round>(args);
  } else {
    pack_strided_pairs<T>(args);
  }
}

template <class T>
ANEMONE_INLINE void pack_pairs(const GemmPack& args) {
  if (args.round_fp16) {
    pack_pairs<T, true>(args);
  } else {
    pack_pairs<T, false>(args);
  }
}

}  // namespace

void gemm_tile_avx512bf16(const GemmTile& args) noexcept { multiply<Bf16Product, 14, 32>(args); }

void gemm_pack_avx512bf16(const GemmPack& args) noexcept {
  switch (args.type) {
    case DType::fp16:
      pack_pairs<f16, false>(args);
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

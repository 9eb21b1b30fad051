// Matrix times vector, one text for every instruction set.
#pragma once

#include "anemone/kernels/gemv/gemv.h"
#include "anemone/kernels/simd/simd.h"
#include "anemone/kernels/simd/typed.h"

namespace anemone::kernels {
namespace {

// The processor's own prefetch ends at a page; this far ahead, the next one is already on its way.
constexpr std::ptrdiff_t kAheadBytes = 4096;

// ---- by columns: Vectors · kLanes neighbouring lanes, Depths sums of each ----

template <int Depths, int Vectors>
ANEMONE_INLINE void store_sums(Float (&sum)[Depths][Vectors], float* y) {
  ANEMONE_UNROLL
  for (int v = 0; v < Vectors; ++v) {
    ANEMONE_UNROLL
    for (int apart = Depths / 2; apart > 0; apart /= 2) {
      ANEMONE_UNROLL
      for (int d = 0; d < apart; ++d) sum[d][v] = add(sum[d][v], sum[d + apart][v]);
    }
    store(y + v * kLanes, sum[0][v]);
  }
}

// `lanes` of the last vector are in the matrix (Partial), or all of them are.
template <class T, int Vectors, int Depths, bool Partial>
ANEMONE_INLINE void columns(const GemvArgs& args, std::ptrdiff_t first, std::ptrdiff_t lanes) {
  const T* from = static_cast<const T*>(args.matrix) + first;
  constexpr int kLines = (Depths * Vectors * kLanes * int{sizeof(T)} + 63) / 64;
  Float sum[Depths][Vectors];
  ANEMONE_UNROLL
  for (int d = 0; d < Depths; ++d) {
    ANEMONE_UNROLL
    for (int v = 0; v < Vectors; ++v) sum[d][v] = broadcast(0);
  }
  const auto take = [&](Float(&to)[Vectors], std::ptrdiff_t p) {
    const Float x = broadcast(args.x[p]);
    const T* row = from + p * args.stride;
    ANEMONE_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      to[v] = fma(Partial ? load_vector(row, lanes) : load_vector(row + v * kLanes), x, to[v]);
    }
  };
  std::ptrdiff_t p = 0;
  for (; p + Depths <= args.depth; p += Depths) {
    ANEMONE_UNROLL
    for (int line = 0; line < kLines; ++line)
      __builtin_prefetch(reinterpret_cast<const char*>(from + p * args.stride) + kAheadBytes +
                         line * 64);
    ANEMONE_UNROLL
    for (int d = 0; d < Depths; ++d) take(sum[d], p + d);
  }
  for (; p < args.depth; ++p) take(sum[0], p);
  store_sums<Depths, Vectors>(sum, args.y + first);
}

template <class T>
ANEMONE_INLINE void all_columns(const GemvArgs& args) {
  // Eight sums hide the latency of an addition.
  constexpr int kWide = kGemvPanel / kLanes, kDepths = 8 / kWide;
  std::ptrdiff_t lane = 0;
  for (; lane + kGemvPanel <= args.lanes; lane += kGemvPanel)
    columns<T, kWide, kDepths, false>(args, lane, 0);
  for (; lane + kLanes <= args.lanes; lane += kLanes) columns<T, 1, 4, false>(args, lane, 0);
  if (lane < args.lanes) columns<T, 1, 4, true>(args, lane, args.lanes - lane);
}

// ---- by rows: kLanes rows at a time, whose sums over lanes are one transposition ----

template <class T, bool Whole>
ANEMONE_INLINE void rows(const GemvArgs& args, std::ptrdiff_t first, std::ptrdiff_t count) {
  const T* from = static_cast<const T*>(args.matrix) + first * args.stride;
  Float sum[kLanes];
  ANEMONE_UNROLL
  for (int row = 0; row < kLanes; ++row) sum[row] = broadcast(0);
  for (std::ptrdiff_t p = 0; p < args.depth; p += kLanes) {
    const std::ptrdiff_t depths = args.depth - p < kLanes ? args.depth - p : kLanes;
    const Float x = depths == kLanes ? load(args.x + p) : load_partial(args.x + p, depths, 0);
    ANEMONE_UNROLL
    for (int row = 0; row < kLanes; ++row) {
      if (!Whole && row >= count) break;
      const T* at = from + row * args.stride + p;
      sum[row] = fma(depths == kLanes ? load_vector(at) : load_vector(at, depths), x, sum[row]);
    }
  }
  transpose_square(sum);
  ANEMONE_UNROLL
  for (int apart = kLanes / 2; apart > 0; apart /= 2) {
    ANEMONE_UNROLL
    for (int row = 0; row < apart; ++row) sum[row] = add(sum[row], sum[row + apart]);
  }
  store(args.y + first, sum[0]);
}

template <class T>
ANEMONE_INLINE void all_rows(const GemvArgs& args) {
  std::ptrdiff_t row = 0;
  for (; row + kLanes <= args.lanes; row += kLanes) rows<T, true>(args, row, kLanes);
  if (row < args.lanes) rows<T, false>(args, row, args.lanes - row);
}

}  // namespace

void ANEMONE_KERNEL(gemv_columns)(const GemvArgs& args) noexcept {
  switch (args.type) {
    case DType::fp16:
      all_columns<f16>(args);
      break;
    case DType::bf16:
      all_columns<bf16>(args);
      break;
    default:
      all_columns<float>(args);
      break;
  }
}

void ANEMONE_KERNEL(gemv_rows)(const GemvArgs& args) noexcept {
  switch (args.type) {
    case DType::fp16:
      all_rows<f16>(args);
      break;
    case DType::bf16:
      all_rows<bf16>(args);
      break;
    default:
      all_rows<float>(args);
      break;
  }
}

}  // namespace anemone::kernels

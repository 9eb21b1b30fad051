// The parts of a matrix product over simd_*.h: a tile in registers, packing with fp32 panels, the
// store. A source for one instruction set chooses the tile's size, so that accumulators, one row of
// the right panel and a broadcast fit its registers.
#pragma once

#include "anemone/kernels/gemm/gemm.h"
#include "anemone/kernels/simd/simd.h"
#include "anemone/kernels/simd/typed.h"

namespace anemone::kernels {
namespace {

// ---- the tile: Rows x (Vectors · kLanes) accumulators ----

// How panels are multiplied: an Element of a lane holds kDepths depths.
struct FloatProduct {
  using Element = float;
  using Vector = Float;
  static constexpr int kDepths = 1;
  static ANEMONE_INLINE Vector load_row(const Element* p) { return load(p); }
  static ANEMONE_INLINE Vector broadcast_one(const Element* p) { return broadcast(*p); }
  static ANEMONE_INLINE Float multiply_add(Vector a, Vector b, Float sum) { return fma(a, b, sum); }
};

template <class Product, int Mr, int Nr, int Rows, int Vectors>
void multiply_tile(const GemmTile& args) {
  const auto* left = static_cast<const typename Product::Element*>(args.left);
  const auto* right = static_cast<const typename Product::Element*>(args.right);
  Float sum[Rows][Vectors];
  ANEMONE_UNROLL
  for (int row = 0; row < Rows; ++row) {
    ANEMONE_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      sum[row][v] = args.accumulate ? load(args.tile + row * Nr + v * kLanes) : broadcast(0);
    }
  }
  for (std::ptrdiff_t p = 0; p < args.k; p += Product::kDepths) {
    typename Product::Vector b[Vectors];
    ANEMONE_UNROLL
    for (int v = 0; v < Vectors; ++v) b[v] = Product::load_row(right + v * kLanes);
    ANEMONE_UNROLL
    for (int row = 0; row < Rows; ++row) {
      const typename Product::Vector a = Product::broadcast_one(left + row);
      ANEMONE_UNROLL
      for (int v = 0; v < Vectors; ++v) sum[row][v] = Product::multiply_add(a, b[v], sum[row][v]);
    }
    left += Mr;
    right += Nr;
  }
  ANEMONE_UNROLL
  for (int row = 0; row < Rows; ++row) {
    ANEMONE_UNROLL
    for (int v = 0; v < Vectors; ++v) store(args.tile + row * Nr + v * kLanes, sum[row][v]);
  }
}

// Tiles at the lower edge have fewer rows: each number of rows has its own loop.
template <class Product, int Mr, int Nr, int Vectors, int Rows = Mr>
ANEMONE_INLINE void multiply_rows(const GemmTile& args) {
  if (args.rows == Rows) {
    multiply_tile<Product, Mr, Nr, Rows, Vectors>(args);
  } else if constexpr (Rows > 1) {
    multiply_rows<Product, Mr, Nr, Vectors, Rows - 1>(args);
  }
}

// Tiles at the right edge have fewer vectors.
template <class Product, int Mr, int Nr, int Now = Nr / kLanes>
ANEMONE_INLINE void multiply(const GemmTile& args) {
  if constexpr (Now == 1) {
    multiply_rows<Product, Mr, Nr, 1>(args);
  } else if (args.columns > (Now - 1) * kLanes) {
    multiply_rows<Product, Mr, Nr, Now>(args);
  } else {
    multiply<Product, Mr, Nr, Now - 1>(args);
  }
}

// ---- packing into fp32 panels ----

ANEMONE_INLINE Float round_operand(const GemmPack& args, Float a) {
  if (args.round_fp16) a = round_f16(a);
  return args.round_bf16 ? round_bf16(a) : a;
}

// A panel's lanes from `at` on, `left` floats before the panel's end. What a whole vector writes
// behind `want` lanes is written again with the next row; masked stores are slow on some
// processors.
ANEMONE_INLINE void store_row(float* at, std::ptrdiff_t want, std::ptrdiff_t left, Float a) {
  if (want >= kLanes || left >= kLanes) {
    store(at, a);
  } else {
    store_partial(at, want, a);
  }
}

// Lanes are neighbours in memory: a row of the panel is a load.
template <class T>
ANEMONE_INLINE void pack_lanes(const GemmPack& args) {
  const T* from = static_cast<const T*>(args.source);
  float* to = static_cast<float*>(args.panel);
  for (std::ptrdiff_t p = 0; p < args.k; ++p, from += args.depth_stride, to += args.width) {
    for (int lane = 0; lane < args.width; lane += kLanes) {
      const int have = args.lanes - lane, want = args.width - lane;
      Float a;
      if (have >= kLanes) {
        a = load_vector(from + lane);
      } else {
        a = load_vector(from + lane, have > 0 ? have : 0);
      }
      store_row(to + lane, want, (args.k - p) * args.width - lane, round_operand(args, a));
    }
  }
}

// Depths are neighbours in memory: squares are transposed in registers.
template <class T>
ANEMONE_INLINE void pack_depths(const GemmPack& args) {
  for (int lane = 0; lane < args.width; lane += kLanes) {
    const int have = args.lanes - lane;
    const int want = args.width - lane < kLanes ? args.width - lane : kLanes;
    const T* from = static_cast<const T*>(args.source) + lane * args.lane_stride;
    float* to = static_cast<float*>(args.panel) + lane;
    for (std::ptrdiff_t p = 0; p < args.k; p += kLanes) {
      const std::ptrdiff_t depths = args.k - p < kLanes ? args.k - p : kLanes;
      Float square[kLanes];
      ANEMONE_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        const T* row = from + i * args.lane_stride + p;
        if (i >= have) {
          square[i] = broadcast(0);
        } else if (depths == kLanes) {
          square[i] = load_vector(row);
        } else {
          square[i] = load_vector(row, depths);
        }
      }
      transpose_square(square);
      ANEMONE_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        if (i >= depths) continue;
        // Behind the first lanes, the next row's first ones are there already.
        const std::ptrdiff_t left = lane == 0 ? (args.k - p - i) * args.width : 0;
        store_row(to + (p + i) * args.width, want, left, round_operand(args, square[i]));
      }
    }
  }
}

ANEMONE_INLINE float one_float(f16 value) { return to_float(value); }
ANEMONE_INLINE float one_float(bf16 value) { return to_float(value); }
ANEMONE_INLINE float one_float(float value) { return value; }

template <class T>
ANEMONE_INLINE void pack_strided(const GemmPack& args) {
  const T* from = static_cast<const T*>(args.source);
  float* to = static_cast<float*>(args.panel);
  for (std::ptrdiff_t p = 0; p < args.k; ++p) {
    for (int lane = 0; lane < args.width; ++lane) {
      float a =
          lane < args.lanes ? one_float(from[lane * args.lane_stride + p * args.depth_stride]) : 0;
      if (args.round_fp16) a = to_float(f16_from_float(a));
      if (args.round_bf16) a = to_float(bf16_from_float(a));
      *to++ = a;
    }
  }
}

template <class T>
ANEMONE_INLINE void pack_typed(const GemmPack& args) {
  if (args.lane_stride == 1) {
    pack_lanes<T>(args);
  } else if (args.depth_stride == 1) {
    pack_depths<T>(args);
  } else {
    pack_strided<T>(args);
  }
}

ANEMONE_INLINE void pack_panel(const GemmPack& args) {
  switch (args.type) {
    case DType::fp16:
      pack_typed<f16>(args);
      break;
    case DType::bf16:
      pack_typed<bf16>(args);
      break;
    default:
      pack_typed<float>(args);
      break;
  }
}

// ---- the store ----

template <class T>
ANEMONE_INLINE Float load_some(const T* from, std::ptrdiff_t stride, std::ptrdiff_t n) {
  if (stride == 1) return n >= kLanes ? load_vector(from) : load_vector(from, n);
  alignas(64) float lanes[kLanes] = {};
  for (int lane = 0; lane < kLanes && lane < n; ++lane)
    lanes[lane] = one_float(from[lane * stride]);
  return load(lanes);
}

ANEMONE_INLINE Float load_residual(const GemmStore& args, int row, int column) {
  const std::ptrdiff_t offset =
      row * args.residual_row_stride + column * args.residual_column_stride;
  const std::ptrdiff_t stride = args.residual_column_stride, n = args.columns - column;
  switch (args.residual_type) {
    case DType::fp16:
      return load_some(static_cast<const f16*>(args.residual) + offset, stride, n);
    case DType::bf16:
      return load_some(static_cast<const bf16*>(args.residual) + offset, stride, n);
    default:
      return load_some(static_cast<const float*>(args.residual) + offset, stride, n);
  }
}

// The same of neighbours that all exist.
ANEMONE_INLINE Float load_whole_residual(const GemmStore& args, int row, int column) {
  const std::ptrdiff_t offset = row * args.residual_row_stride + column;
  switch (args.residual_type) {
    case DType::fp16:
      return load_vector(static_cast<const f16*>(args.residual) + offset);
    case DType::bf16:
      return load_vector(static_cast<const bf16*>(args.residual) + offset);
    default:
      return load_vector(static_cast<const float*>(args.residual) + offset);
  }
}

// `args` is a copy, so that the compiler knows that storing to C does not change it.
template <class T>
ANEMONE_INLINE void store_typed(const GemmStore args, int first, int end) {
  const bool has_residual = args.residual != nullptr;
  const bool adjacent =
      args.column_stride == 1 && (!has_residual || args.residual_column_stride == 1);
  for (int row = first; row < end; ++row) {
    const float* from = args.tile + row * args.tile_stride;
    T* to = static_cast<T*>(args.c) + row * args.row_stride;
    int column = 0;
    for (; adjacent && column + kLanes <= args.columns; column += kLanes) {
      Float x = mul(load(from + column), broadcast(args.alpha));
      if (args.beta != 0) x = fma(broadcast(args.beta), load_vector(to + column), x);
      if (has_residual) x = add(x, load_whole_residual(args, row, column));
      store_vector(to + column, x);
    }
    for (; column < args.columns; column += kLanes) {
      const std::ptrdiff_t n = args.columns - column;
      T* at = to + column * args.column_stride;
      Float x = mul(load(from + column), broadcast(args.alpha));
      if (args.beta != 0) x = fma(broadcast(args.beta), load_some<T>(at, args.column_stride, n), x);
      if (has_residual) x = add(x, load_residual(args, row, column));
      store_vector(at, args.column_stride, n < kLanes ? n : kLanes, x);
    }
  }
}

[[maybe_unused]] void store_rows(const GemmStore& args, int first, int end) {
  switch (args.c_type) {
    case DType::fp16:
      store_typed<f16>(args, first, end);
      break;
    case DType::bf16:
      store_typed<bf16>(args, first, end);
      break;
    default:
      store_typed<float>(args, first, end);
      break;
  }
}

ANEMONE_INLINE void store_tile(const GemmStore& args) { store_rows(args, 0, args.rows); }

}  // namespace
}  // namespace anemone::kernels

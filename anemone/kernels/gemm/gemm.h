// Matrix products on packed panels: the parts of a product that one thread does on one tile.
//
// C[m,n] is cut into tiles of mr x nr. The left operand is packed into panels of mr lanes (rows of
// A), the right one into panels of nr lanes (columns of B); in a panel of width w, depth p of lane
// l lies at [p / kr][l][p % kr] (kr = 2 for kernels that multiply pairs). Lanes beyond the matrix
// and depths beyond k, up to a multiple of kr, are zero. compute/gemm.h puts it together.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/base/dtype.h"
#include "anemone/kernels/table.h"

namespace anemone::kernels {

// tile[i * nr + j] (+)= Σ_p left(p, i) · right(p, j) for i < rows, j < columns rounded up to whole
// vectors.
struct GemmTile {
  std::ptrdiff_t k = 0;  // a multiple of kr
  const void* left = nullptr;
  const void* right = nullptr;
  float* tile = nullptr;  // aligned to 64 bytes
  int rows = 0, columns = 0;
  bool accumulate = false;  // add to what the tile holds
};
using GemmTileFn = void(const GemmTile& args) noexcept;

// Packs one panel. Source element (lane l, depth p) lies at l * lane_stride + p * depth_stride
// (elements).
struct GemmPack {
  const void* source = nullptr;
  DType type = DType::fp32;  // fp16, bf16, fp32
  std::ptrdiff_t lane_stride = 0, depth_stride = 0;
  int lanes = 0;  // present in the source; <= width
  int width = 0;  // mr or nr
  std::ptrdiff_t k = 0;
  bool round_fp16 = false, round_bf16 = false;  // values are rounded so first (fp16, then bf16)
  void* panel = nullptr;
};
using GemmPackFn = void(const GemmPack& args) noexcept;

// C = alpha · tile + beta · C + residual for rows x columns elements.
struct GemmStore {
  const float* tile = nullptr;
  std::ptrdiff_t tile_stride = 0;
  int rows = 0, columns = 0;
  void* c = nullptr;
  DType c_type = DType::fp32;  // fp16, bf16, fp32
  std::ptrdiff_t row_stride = 0, column_stride = 1;
  float alpha = 1, beta = 0;       // beta 0: C is not read
  const void* residual = nullptr;  // or null
  DType residual_type = DType::fp32;
  std::ptrdiff_t residual_row_stride = 0, residual_column_stride = 1;
};
using GemmStoreFn = void(const GemmStore& args) noexcept;

struct GemmKernel {
  Isa isa;
  const char* name;
  DType panel;  // element type of panels: fp32, or bf16 (then only for ProductPrecision::bf16)
  int mr, nr, kr;
  int m_block,
      n_block;  // panels of a task: the left block (m_block · mr · k_block) should fit half of L2
  int k_block;  // depth done at once; a deeper product adds up blocks in memory
  GemmTileFn* tile;
  GemmPackFn* pack;
  GemmStoreFn* store;
};

KernelTable<GemmKernel> gemm_kernels();
// The first row that the features allow and whose panels are fp32, or bf16 if products may be
// rounded to that.
const GemmKernel& pick_gemm(const CpuFeatures& features, bool bf16_products);

constexpr int kMaxGemmWidth = 64;  // no row's mr or nr is larger

}  // namespace anemone::kernels

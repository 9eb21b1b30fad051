// Matrix products on packed panels: the parts of a product that one thread does on one tile.
//
// C[m,n] is cut into tiles of mr x nr. The left operand is packed into panels of mr lanes (rows of
// A), the right one into panels of nr lanes (columns of B). A panel is a run of steps of k_step
// depths; where an element lies in a step is the kernel's PanelLayout. Lanes beyond the matrix and
// depths beyond k, up to a multiple of k_step, are zero. compute/gemm.h puts it together.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/base/dtype.h"
#include "anemone/kernels/table.h"

namespace anemone::kernels {

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

// tile[i * nr + j] (+)= Σ_p left(p, i) · right(p, j) for i < rows, j < columns rounded up to whole
// vectors.
struct GemmTile {
  std::ptrdiff_t k = 0;  // a multiple of k_step
  const void* left = nullptr;
  const void* right = nullptr;
  float* tile = nullptr;  // aligned to 64 bytes
  int rows = 0, columns = 0;
  bool accumulate = false;  // add to what the tile holds
  // Another, finished tile that a kernel with `stores_meanwhile` stores on its way; or null.
  const GemmStore* meanwhile = nullptr;
};
using GemmTileFn = void(const GemmTile& args) noexcept;

// Packs one panel. Source element (lane l, depth p) lies at l * lane_stride + p * depth_stride
// (elements).
struct GemmPack {
  const void* source = nullptr;
  DType type = DType::fp32;  // fp16, bf16, fp32
  std::ptrdiff_t lane_stride = 0, depth_stride = 0;
  bool left = true;  // a panel of the left operand
  int lanes = 0;     // present in the source; <= width
  int width = 0;     // mr or nr
  std::ptrdiff_t k = 0;
  bool round_fp16 = false, round_bf16 = false;  // values are rounded so first (fp16, then bf16)
  void* panel = nullptr;
};
using GemmPackFn = void(const GemmPack& args) noexcept;

// Where the element of depth p (below k_step) and lane l lies in a step: groups of `lanes` lanes
// one behind the other, each ordered as [p / depths][lane][p % depths].
struct PanelLayout {
  int depths = 1;
  int lanes = 0;  // 0: all of the panel
};

// The products that a kernel takes.
enum class GemmOperands : std::uint8_t {
  any,
  bf16,  // those whose operands may be rounded to bf16
  fp16,  // those of fp16 or bf16 operands as they are
};

struct GemmKernel {
  Isa isa;
  const char* name;
  GemmOperands takes;
  DType panel;     // element type of panels
  int planes = 1;  // panel elements for each element; a step has all first ones, then all second
  int mr, nr;      // lanes of a left and of a right panel
  int k_step = 1;  // depths of a step
  PanelLayout left = {}, right = {};
  // Panels of a task, and the depth done at once (a deeper product adds up blocks in memory). A
  // left block (m_block · mr · k_block) should fit half of L2, a right panel most of L1.
  int m_block, n_block, k_block;
  bool stores_meanwhile = false;  // see GemmTile
  // Before the first and after the last tile of a task, if there is anything to do.
  void (*begin)() noexcept = nullptr;
  void (*end)() noexcept = nullptr;
  GemmTileFn* tile;
  GemmPackFn* pack;
  GemmStoreFn* store;
};

KernelTable<GemmKernel> gemm_kernels();

struct GemmProduct {
  DType left = DType::fp32, right = DType::fp32;  // what operands are (a constant's: rounded to)
  bool bf16 = false;                              // operands may be rounded to bf16
};
// The first row that the features allow and that takes the product.
const GemmKernel& pick_gemm(const CpuFeatures& features, const GemmProduct& product);

constexpr int kMaxGemmWidth = 64;  // no row's mr or nr is larger

}  // namespace anemone::kernels

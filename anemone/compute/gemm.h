// Matrix products: C[m,n] = alpha · A[m,k] · B[k,n] + beta · C + residual, batched, over threads.
//
//   GemmSpec (types, strides, sizes) --plan_gemm--> GemmPlan --run(pool, plan, workspace,
//   pointers)--> C
//
// Operands are fp16, bf16 or fp32 with any strides; sums are fp32 in an order that depends on the
// plan only, so results are bitwise the same for any number of threads. `run` allocates nothing. An
// operand that seldom changes (a weight) is marked `constant` and given as a PackedMatrix: it is
// put into the kernel's order once, not at every run. Fast when one of C's strides is 1 (the other
// cases are right, and slow only in the store).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "anemone/base/aligned_buffer.h"
#include "anemone/base/cpu_features.h"
#include "anemone/base/dtype.h"
#include "anemone/compute/matrix.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/kernels/convert/convert.h"
#include "anemone/kernels/gemm/gemm.h"

namespace anemone::compute {

// What happens to the operands before they are multiplied.
enum class ProductPrecision : std::uint8_t {
  full,  // nothing (on AMX products of fp16 operands are right to 2^-16 of each)
  bf16,  // both are rounded to bf16, and the bf16 dot instructions may be used
};

// The part of a matrix that counts. For an operand the rest is taken as zero whatever it holds; for
// C the rest is not wanted, and what is left there is unspecified (whole tiles are skipped, not
// elements).
enum class Triangle : std::uint8_t {
  full,
  lower,  // column <= row
  upper,  // column >= row
};

enum class GemmSide : std::uint8_t { a, b };

struct GemmOperand {
  DType type = DType::fp32;
  std::ptrdiff_t row_stride = 0;
  std::ptrdiff_t col_stride = 1;
  std::ptrdiff_t batch_stride = 0;  // 0: the same matrix for the whole batch
  Triangle triangle = Triangle::full;
  // Given to run() as a PackedMatrix. `type` is then what values are rounded to when packed (fp16
  // for the weights of an fp16 program); strides do not matter; batch_stride must be 0.
  bool constant = false;

  static GemmOperand rows(DType type, std::ptrdiff_t row_stride, std::ptrdiff_t batch_stride = 0) {
    return {type, row_stride, 1, batch_stride};
  }
  static GemmOperand columns(DType type, std::ptrdiff_t col_stride,
                             std::ptrdiff_t batch_stride = 0) {
    return {type, 1, col_stride, batch_stride};
  }
  static GemmOperand constant_of(DType type) { return {type, 0, 1, 0, Triangle::full, true}; }
};

struct GemmSpec {
  std::int64_t batch = 1;
  std::int64_t m = 0, n = 0, k = 0;
  GemmOperand a, b, c;
  float alpha = 1;
  float beta = 0;  // 0: what C held is not read (it may be NaN)
  bool has_residual = false;
  GemmOperand residual;  // [m, n], added at the end; batch_stride 0 shares it
  ProductPrecision precision = ProductPrecision::full;
};

struct GemmPlan {
  // One operand as the kernel sees it: lanes are rows of the left one, columns of the right one.
  struct Side {
    GemmOperand operand;
    std::ptrdiff_t lane_stride = 0, depth_stride = 0;
    std::int64_t lanes = 0, panels = 0;
    bool is_left = false;
    int width = 0;                    // lanes of a panel
    std::int64_t depth_elements = 0;  // of a panel for each depth: lanes · planes
    bool depth_to_lane = false;       // only depths <= lane count
    bool depth_from_lane = false;     // only depths >= lane count
    DType storage = DType::fp32;      // of a constant's panels
    std::int64_t batch = 1;           // 1 if shared by the batch
    std::int64_t panel_elements = 0;  // from one panel to the next
    std::size_t workspace_bytes = 0;  // for packed panels; 0 if used as stored
    bool packs = false;               // in the packing region
  };
  GemmSpec spec;
  const kernels::GemmKernel* kernel = nullptr;
  const kernels::ConvertKernel* convert = nullptr;
  bool transposed = false;  // computed as Cᵀ = Bᵀ·Aᵀ, because C's columns are the contiguous ones
  Side left, right;
  // A task prepares its own left panels (a constant's brought to fp32; or variable ones that no
  // other task needs), or its own right panel: they then stay in its cache.
  bool left_in_task = false, right_in_task = false;
  std::int64_t depth = 0, depth_block = 0;  // k rounded up to k_step; done at once
  std::int64_t m_block = 1, n_block = 1;    // panels per task
  std::int64_t pack_tasks = 0;              // of the packing region
  std::int64_t m_tasks = 0, n_tasks = 0;    // per batch item
  // Neighbouring tasks, which a worker gets, share right panels, not left ones.
  bool right_outer = false;
  // Scratch memory of a worker: left panels, left_panel elements apart; a right panel; tiles (one
  // for each tile of a task where depth comes in blocks, two where one is stored during the next).
  std::int64_t left_panel = 0, tiles = 1;
  std::size_t left_bytes = 0, right_bytes = 0, scratch_bytes = 0;

  std::size_t workspace_bytes(int threads) const;
  int tasks() const;                // of the main region
  const char* kernel_name() const;  // for explain()
  double flops() const;             // 2·batch·m·n·k, whatever triangles skip
};

// Operand types must be fp16, bf16 or fp32 and C's fp16, bf16 or fp32 (CHECK). Sizes may be 0.
GemmPlan plan_gemm(const GemmSpec& spec, const CpuFeatures& features = cpu_features());

// A constant operand in the order a plan's kernel wants. Plans with the same kernel, side, m (or n)
// and k share one.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // Room for operand `side` of `plan`, which must be marked constant. Throws Error when the memory
  // cannot be had.
  PackedMatrix(const GemmPlan& plan, GemmSide side);

  // (Re)fills it from [m,k] (side a) or [k,n] (side b), fp32, fp16 or bf16 with any strides.
  // Allocates nothing.
  void pack(ThreadPool& pool, ConstMatrixRef source);

  bool fits(const GemmPlan& plan, GemmSide side) const;
  std::size_t bytes() const { return data_.size(); }
  const std::byte* data() const { return data_.data(); }

 private:
  const kernels::GemmKernel* kernel_ = nullptr;
  const kernels::ConvertKernel* convert_ = nullptr;
  GemmPlan::Side side_;  // of the plan it was made for
  bool is_left_ = false;
  bool by_rows_ = false;  // lanes are the source's rows
  bool round_bf16_ = false;
  std::int64_t k_ = 0;
  AlignedBuffer data_;
};

struct GemmArgs {
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
  const void* residual = nullptr;
  const PackedMatrix* packed_a = nullptr;  // instead of a / b, for a constant operand
  const PackedMatrix* packed_b = nullptr;
};

// `workspace`: at least plan.workspace_bytes(pool.threads()), aligned to 64 bytes; its contents do
// not matter. C must not overlap A or B; the residual may be C itself.
void run(ThreadPool& pool, const GemmPlan& plan, std::span<std::byte> workspace,
         const GemmArgs& args);

}  // namespace anemone::compute

// Products of a matrix and a vector, batched, over threads: y[l] = alpha · Σ_p matrix[l, p] · x[p]
// + residual[l].
//
//   GemvSpec --gemv_refusal, plan_gemv--> GemvPlan --run(pool, plan, workspace, pointers)--> y
//
// Where a product of matrices has one row or one column, bringing operands into panels costs more
// than the product itself, and the memory's bandwidth is all there is to win. So a variable matrix
// is read as it lies, once; a constant one is kept in the order in which it is read, in 16 bits
// where its type has 16 bits. Sums are fp32, in an order that does not depend on the number of
// threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "anemone/base/aligned_buffer.h"
#include "anemone/base/cpu_features.h"
#include "anemone/compute/gemm.h"
#include "anemone/compute/matrix.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/kernels/convert/convert.h"
#include "anemone/kernels/gemm/gemm.h"
#include "anemone/kernels/gemv/gemv.h"

namespace anemone::compute {

struct GemvSpec {
  static constexpr int kMaxBatchDims = 4;

  struct Matrix {
    DType type = DType::fp32;  // fp16, bf16, fp32; of a constant: what values are rounded to
    std::ptrdiff_t lane_stride = 0, depth_stride = 0;  // elements; one of them is 1
    bool constant = false;  // given to run() as PackedLanes; strides do not matter
  };
  struct Vector {
    DType type = DType::fp32;
    std::ptrdiff_t stride = 1;
  };
  // Strides in elements; 0 shares an operand.
  struct BatchDim {
    std::int64_t size = 1;
    std::ptrdiff_t matrix = 0, x = 0, y = 0, residual = 0;
  };

  std::int64_t lanes = 0, depth = 0;
  Matrix matrix;
  Vector x, y, residual;
  bool has_residual = false;
  float alpha = 1;
  // bf16: x and a constant matrix are rounded to bf16; a variable matrix is taken as it is.
  ProductPrecision precision = ProductPrecision::full;
  std::array<BatchDim, kMaxBatchDims> batch = {};
  int batch_dims = 0;
};

// Why no plan can be made of it; empty if one can.
std::string gemv_refusal(const GemvSpec& spec);

struct GemvPlan {
  GemvSpec spec;
  const kernels::GemvKernel* kernel = nullptr;
  const kernels::ConvertKernel* convert = nullptr;
  const kernels::GemmKernel* store = nullptr;  // for its store function
  DType storage = DType::fp32;                 // of the matrix in memory
  std::int64_t items = 1;                      // of the batch
  std::int64_t blocks = 0, block_lanes = 0;    // of an item
  std::int64_t task_blocks = 1;                // blocks of all items, in order
  std::int64_t x_room = 0;                     // floats of an item's x in the workspace

  int tasks() const;
  std::size_t workspace_bytes() const;
  double flops() const;  // 2 · batch · lanes · depth
};

GemvPlan plan_gemv(const GemvSpec& spec, const CpuFeatures& features = cpu_features());

// A constant matrix in the order of the kernels: panels of kGemvPanel lanes, depth after depth.
class PackedLanes {
 public:
  PackedLanes() = default;
  // Throws Error when the memory cannot be had.
  explicit PackedLanes(const GemvPlan& plan);

  // (Re)fills it from [lanes, depth], fp32, fp16 or bf16 with any strides. Allocates nothing.
  void pack(ThreadPool& pool, ConstMatrixRef source);

  bool fits(const GemvPlan& plan) const;
  std::size_t bytes() const { return data_.size(); }
  const std::byte* panel(std::int64_t index) const;

 private:
  const kernels::GemmKernel* packer_ = nullptr;
  const kernels::ConvertKernel* convert_ = nullptr;
  DType type_ = DType::fp32, storage_ = DType::fp32;
  std::int64_t lanes_ = 0, depth_ = 0;
  AlignedBuffer data_;
};

struct GemvArgs {
  const PackedLanes* packed = nullptr;  // instead of matrix, for a constant
  const void* matrix = nullptr;
  const void* x = nullptr;
  const void* residual = nullptr;
  void* y = nullptr;
};

// `workspace`: at least plan.workspace_bytes(), aligned to 64 bytes. y must not overlap the matrix
// or x; the residual may be y itself.
void run(ThreadPool& pool, const GemvPlan& plan, std::span<std::byte> workspace,
         const GemvArgs& args);

}  // namespace anemone::compute

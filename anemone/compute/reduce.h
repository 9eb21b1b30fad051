// Sums, means and extrema of a strided tensor over some of its axes; fp32 accumulation in a fixed
// order. The tensor may be one that is never stored: computed from others, element by element,
// while it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "anemone/base/cpu_features.h"
#include "anemone/base/shape.h"
#include "anemone/compute/elementwise.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/compute/walk.h"
#include "anemone/kernels/convert/convert.h"
#include "anemone/kernels/reduce/reduce.h"

namespace anemone::compute {

using kernels::ReduceOp;  // sum, mean, sum_square, max, min

struct ReduceSpec {
  ReduceOp op = ReduceOp::sum;
  Shape shape;             // of the input
  std::uint32_t axes = 0;  // bit i set: axis i is reduced
  DType in_type = DType::fp32;
  Strides in_strides{};
  DType out_type = DType::fp32;
  Strides out_strides{};  // one per input axis; those of reduced axes are ignored
  // What computes the input: a program of the same shape with one output, whose type and strides
  // mean nothing, as in_type and in_strides then do.
  std::optional<ElementwiseSpec> program;
};

struct ReducePlan {
  const kernels::ReduceKernel* kernel = nullptr;
  const kernels::ConvertKernel* convert = nullptr;
  ReduceOp op = ReduceOp::sum;
  DType in_type = DType::fp32, out_type = DType::fp32;
  std::optional<ElementwisePlan> program;
  PairedWalk kept;                      // of the results
  Walk reduced;                         // of the inputs of one result
  std::int64_t outputs = 0, count = 0;  // results; inputs per result
  // By columns, the lanes of a vector are neighbouring results (the last dimension of `kept`, in
  // blocks of `width`); otherwise they are inputs of one result.
  bool by_columns = false;
  std::int64_t width = 1;
  std::int64_t groups = 0, task_groups = 0;  // blocks of columns, or results; those of one task
  // A reduction of few results is cut into chunks; their partial results are combined in order.
  std::int64_t chunks = 1, chunk = 0;

  int tasks() const;
  std::size_t workspace_bytes() const;  // for partial results; often 0
};

// Types: as elementwise inputs and outputs. An empty reduction gives 0 (sum), NaN (mean), -inf
// (max), +inf (min).
ReducePlan plan_reduce(const ReduceSpec& spec, const CpuFeatures& features = cpu_features());
void run(ThreadPool& pool, const ReducePlan& plan, std::span<std::byte> workspace, const void* in,
         void* out);
// The same with a program: `inputs` are those of the program.
void run_program(ThreadPool& pool, const ReducePlan& plan, std::span<std::byte> workspace,
                 std::span<const void* const> inputs, void* out);

}  // namespace anemone::compute

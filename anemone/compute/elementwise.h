// Elementwise programs: a fused group of elementwise operations in one pass over memory.
//
// A program has a shape, inputs (broadcast by zero strides), a short list of steps on fp32 slots,
// and outputs. It is run block by block: every step is a vector kernel over slots that stay in the
// L1 cache. Inputs whose elements lie beside each other are read by the steps where they are, the
// others brought into slots before; results are rounded once, by the last step where that is
// possible, and stored. A single operation is a program of one step.
//
//   // y = x * sigmoid(h), fp16
//   ElementwiseSpec spec{.shape = {768, 512}, .inputs = {{fp16, strides}, {fp16, strides}},
//   .outputs = {{fp16, strides, 2}},
//                        .steps = {{ElementwiseOp::sigmoid, 2, 1}, {ElementwiseOp::mul, 2, 0, 2}}};
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "anemone/base/cpu_features.h"
#include "anemone/base/shape.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/compute/walk.h"
#include "anemone/kernels/convert/convert.h"
#include "anemone/kernels/elementwise/elementwise.h"

namespace anemone::compute {

using kernels::ElementwiseOp;    // the list of operations and what each means
using kernels::ElementwiseStep;  // {op, dst, a, b, c, immediate}

struct ElementwiseInput {
  DType type =
      DType::fp32;  // fp16, bf16, fp32, bool (0 or 1), int8…int32, uint8, uint16 (exact below 2^24)
  Strides strides{};  // in elements, one per dimension of the program's shape; 0 broadcasts
};

struct ElementwiseOutput {
  DType type =
      DType::fp32;  // as inputs: floats round to nearest even, integers toward zero, bool is != 0
  Strides strides{};
  std::uint8_t slot = 0;  // stored after the last step
};

struct ElementwiseSpec {
  Shape shape;
  std::vector<ElementwiseInput> inputs;  // input i is loaded into slot i
  std::vector<ElementwiseOutput> outputs;
  std::vector<ElementwiseStep> steps;
};

struct ElementwisePlan {
  static constexpr int kMaxSlots = 24;
  const kernels::ElementwiseKernel* kernel = nullptr;
  const kernels::ConvertKernel* convert = nullptr;
  std::int64_t elements = 0;
  std::int64_t task_elements = 0;
  int slots = 0;
  std::vector<Walk> inputs, outputs;
  std::vector<std::uint8_t> output_slots;

  // How steps number their operands (ElementwiseBlock). Operand i is slot i; or input i, where that
  // stays in memory: then kMaxSlots + i is its slot, for what steps put there. kResult is what the
  // last step writes if that is the output `result`, and no other one (-1: it is not).
  static constexpr int kResult = 2 * kMaxSlots, kOperands = kResult + 1;
  std::vector<bool> in_memory;  // each input
  int result = -1;
  bool result_in_memory = false;       // its elements lie beside each other, too
  std::vector<ElementwiseStep> steps;  // pow by 2, 0.5, -0.5, -1, 1 replaced by cheaper ones

  int tasks() const;
};

// CHECKs that slots are below kMaxSlots, written before they are read, and types are among the
// above.
ElementwisePlan plan_elementwise(const ElementwiseSpec& spec,
                                 const CpuFeatures& features = cpu_features());

// An output may be exactly an input (same address, type and strides): each block is read before it
// is written.
void run(ThreadPool& pool, const ElementwisePlan& plan, std::span<const void* const> inputs,
         std::span<void* const> outputs);

}  // namespace anemone::compute

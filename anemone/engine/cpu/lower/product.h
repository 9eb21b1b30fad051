// Matrix products of values in memory: batches with any strides, constant operands packed ahead.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "anemone/compute/gemm.h"
#include "anemone/engine/cpu/lower/context.h"

namespace anemone::cpu {

// One operand: matrices [rows, columns] at `offset`, one for each element of the batch shape.
struct ProductOperand {
  mil::Value value;
  DType dtype = DType::fp32;
  std::ptrdiff_t offset = 0;  // elements, from the start of the storage
  std::ptrdiff_t row_stride = 0, col_stride = 0;
  Strides batch{};  // per dimension of the batch, 0 where repeated
  compute::Triangle triangle = compute::Triangle::full;
  bool valid() const { return value.valid(); }
};

struct Product {
  Shape batch;
  std::int64_t m = 0, n = 0, k = 0;
  ProductOperand a, b, c;
  ProductOperand residual;  // added; not valid: none
  double alpha = 1;
};

// The batch as dimensions that lie evenly in all operands; those of one element are left out.
struct BatchDims {
  struct Dim {
    std::int64_t size;
    std::ptrdiff_t a, b, c, residual;
  };
  std::vector<Dim> dims;
};

// The constant behind an operand that is one matrix for the whole batch: it can be packed when
// compiling. `stride` is the operand's in the batch.
mil::Value packable(const LowerContext& context, const ProductOperand& operand,
                    const BatchDims& batch, std::ptrdiff_t BatchDims::Dim::*stride);
// Where the first matrix of an operand lies, noted as read by the step.
Operand read_matrix(const LowerContext& context, const ProductOperand& operand, Step& step);

// Fills in the step.
void lower_product(LowerContext& context, const Product& product, Step& step);

// A product as a call: one plan, run at a list of places. Also part of other calls.
struct ProductCall {
  struct Offsets {
    std::ptrdiff_t a, b, c, residual;  // bytes
  };
  compute::GemmPlan plan;
  Operand a, b, c, residual;
  const compute::PackedMatrix* packed_a = nullptr;
  const compute::PackedMatrix* packed_b = nullptr;
  bool has_residual = false;
  std::vector<Offsets> places;

  void run(const Frame& frame) const;
};

}  // namespace anemone::cpu

// Elementwise operations on fp32 slots (see convert.h), run as a list of steps over one block. What
// lies in memory as fp16 or fp32, element beside element, is read and written where it is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/base/dtype.h"
#include "anemone/kernels/table.h"

namespace anemone::kernels {

// OP(name, number of operands read): what dst becomes, with a, b, c the operands read and i the
// immediate. max and min propagate NaN. Errors against the exact result are those of one fp32
// rounding (0.5 ulp) unless stated; the stated ones are tested bounds.
#define ANEMONE_ELEMENTWISE_OPS(OP)                                                          \
  OP(fill, 0)       /* i */                                                                  \
  OP(copy, 1)       /* a */                                                                  \
  OP(neg, 1)        /* -a */                                                                 \
  OP(abs, 1)        /* |a| */                                                                \
  OP(square, 1)     /* a·a */                                                               \
  OP(sqrt, 1)       /* √a */                                                               \
  OP(rsqrt, 1)      /* 1/√(a + i), 1.5 ulp of that of a + i */                             \
  OP(inverse, 1)    /* 1/(a + i) */                                                          \
  OP(exp, 1)        /* e^a, 2 ulp */                                                         \
  OP(log, 1)        /* ln(a + i), 2 ulp */                                                   \
  OP(sigmoid, 1)    /* 1/(1 + e^-a), 4 ulp; below -88: 0 */                                  \
  OP(silu, 1)       /* a/(1 + e^-a), 4 ulp; below -88: 0; -inf gives NaN like the formula */ \
  OP(tanh, 1)       /* 4 ulp */                                                              \
  OP(round_fp16, 1) /* to fp16 and back */                                                   \
  OP(round_bf16, 1) /* to bf16 and back */                                                   \
  OP(add_imm, 1)    /* a + i */                                                              \
  OP(mul_imm, 1)    /* a·i */                                                               \
  OP(rsub_imm, 1)   /* i - a */                                                              \
  OP(div_imm, 1)    /* a/i */                                                                \
  OP(rdiv_imm, 1)   /* i/a */                                                                \
  OP(max_imm, 1)    /* max(a, i) */                                                          \
  OP(min_imm, 1)    /* min(a, i) */                                                          \
  OP(pow_imm, 1)    /* a^i, 1 ulp */                                                         \
  OP(add, 2)        /* a + b */                                                              \
  OP(sub, 2)        /* a - b */                                                              \
  OP(mul, 2)        /* a·b */                                                               \
  OP(div, 2)        /* a/b */                                                                \
  OP(max, 2)        /* max(a, b) */                                                          \
  OP(min, 2)        /* min(a, b) */                                                          \
  OP(pow, 2)        /* a^b, 1 ulp */                                                         \
  OP(less, 2)       /* a < b ? 1 : 0 */                                                      \
  OP(less_equal, 2) /* a <= b ? 1 : 0 */                                                     \
  OP(equal, 2)      /* a == b ? 1 : 0 */                                                     \
  OP(select, 3)     /* a != 0 ? b : c */                                                     \
  OP(mul_add, 3)    /* a·b + c, rounded once where the processor can */

enum class ElementwiseOp : std::uint8_t {
#define ANEMONE_ENUMERATOR(name, sources) name,
  ANEMONE_ELEMENTWISE_OPS(ANEMONE_ENUMERATOR)
#undef ANEMONE_ENUMERATOR
};

struct ElementwiseStep {
  ElementwiseOp op = ElementwiseOp::copy;
  std::uint8_t dst = 0;
  std::uint8_t a = 0, b = 0, c = 0;
  float immediate = 0;
};

// What a step reads or writes: n elements from here on. fp32 or fp16; fp32 for pow and pow_imm.
struct ElementwiseOperand {
  void* data = nullptr;
  DType type = DType::fp32;
};

// Runs the steps on n elements (a multiple of kSlotMultiple) of the operands that they number. An
// operand that a step writes may be one that it reads.
using ElementwiseFn = void(const ElementwiseStep* steps, int count,
                           const ElementwiseOperand* operands, std::ptrdiff_t n) noexcept;

struct ElementwiseKernel {
  Isa isa;
  const char* name;
  ElementwiseFn* run;
};

KernelTable<ElementwiseKernel> elementwise_kernels();
inline const ElementwiseKernel& pick_elementwise(const CpuFeatures& features) {
  return elementwise_kernels().pick(features);
}

const char* elementwise_op_name(ElementwiseOp op);
int elementwise_op_sources(ElementwiseOp op);

}  // namespace anemone::kernels

// The elementwise steps, one text for every instruction set. Each operation is one loop for every
// combination of its operands' types.
#pragma once

#include "anemone/kernels/elementwise/elementwise.h"
#include "anemone/kernels/simd/math.h"
#include "anemone/kernels/simd/pow.h"
#include "anemone/kernels/simd/simd.h"
#include "anemone/kernels/simd/typed.h"

namespace anemone::kernels {
namespace {

struct Operands {
  ElementwiseOperand dst, a, b, c;
  std::ptrdiff_t n;
};

// Calls body with a pointer of the operand's type.
template <class Body>
ANEMONE_INLINE void typed(const ElementwiseOperand& operand, Body body) {
  if (operand.type == DType::fp16) {
    body(static_cast<f16*>(operand.data));
  } else {
    body(static_cast<float*>(operand.data));
  }
}

// dst = value(i) for every vector; `value` gives the one that begins at element i.
template <class Value>
ANEMONE_INLINE void write(const Operands& o, Value value) {
  typed(o.dst, [&](auto* dst) {
    for (std::ptrdiff_t i = 0; i < o.n; i += kLanes) store_vector(dst + i, value(i));
  });
}

template <class Op>
ANEMONE_INLINE void map1(const Operands& o, Op op) {
  typed(o.a,
        [&](const auto* a) { write(o, [&](std::ptrdiff_t i) { return op(load_vector(a + i)); }); });
}
template <class Op>
ANEMONE_INLINE void map2(const Operands& o, Op op) {
  typed(o.a, [&](const auto* a) {
    typed(o.b, [&](const auto* b) {
      write(o, [&](std::ptrdiff_t i) { return op(load_vector(a + i), load_vector(b + i)); });
    });
  });
}
template <class Op>
ANEMONE_INLINE void map3(const Operands& o, Op op) {
  typed(o.a, [&](const auto* a) {
    typed(o.b, [&](const auto* b) {
      typed(o.c, [&](const auto* c) {
        write(o, [&](std::ptrdiff_t i) {
          return op(load_vector(a + i), load_vector(b + i), load_vector(c + i));
        });
      });
    });
  });
}

// One by one, in fp32.
template <class Op>
ANEMONE_INLINE void map_floats(const Operands& o, Op op) {
  const auto *a = static_cast<const float*>(o.a.data), *b = static_cast<const float*>(o.b.data);
  auto* dst = static_cast<float*>(o.dst.data);
  for (std::ptrdiff_t i = 0; i < o.n; ++i) dst[i] = op(a[i], b[i]);
}

ANEMONE_INLINE Float one_if(Mask mask) { return select(mask, broadcast(1.0f), broadcast(0.0f)); }

void run_step(ElementwiseOp op, const Operands& o, float immediate) {
  using Op = ElementwiseOp;
  const Float imm = broadcast(immediate);
  switch (op) {
    case Op::fill:
      write(o, [=](std::ptrdiff_t) { return imm; });
      break;
    case Op::copy:
      map1(o, [](Float a) { return a; });
      break;
    case Op::neg:
      map1(o, [](Float a) { return negate(a); });
      break;
    case Op::abs:
      map1(o, [](Float a) { return absolute(a); });
      break;
    case Op::square:
      map1(o, [](Float a) { return mul(a, a); });
      break;
    case Op::sqrt:
      map1(o, [](Float a) { return sqrt(a); });
      break;
    case Op::rsqrt:
      map1(o, [=](Float a) { return div(broadcast(1.0f), sqrt(add(a, imm))); });
      break;
    case Op::inverse:
      map1(o, [=](Float a) { return div(broadcast(1.0f), add(a, imm)); });
      break;
    case Op::exp:
      map1(o, [](Float a) { return exp(a); });
      break;
    case Op::log:
      map1(o, [=](Float a) { return log(add(a, imm)); });
      break;
    case Op::sigmoid:
      map1(o, [](Float a) { return sigmoid(a); });
      break;
    case Op::silu:
      map1(o, [](Float a) { return silu(a); });
      break;
    case Op::tanh:
      map1(o, [](Float a) { return tanh(a); });
      break;
    case Op::round_fp16:
      map1(o, [](Float a) { return round_f16(a); });
      break;
    case Op::round_bf16:
      map1(o, [](Float a) { return round_bf16(a); });
      break;
    case Op::add_imm:
      map1(o, [=](Float a) { return add(a, imm); });
      break;
    case Op::mul_imm:
      map1(o, [=](Float a) { return mul(a, imm); });
      break;
    case Op::rsub_imm:
      map1(o, [=](Float a) { return sub(imm, a); });
      break;
    case Op::div_imm:
      map1(o, [=](Float a) { return div(a, imm); });
      break;
    case Op::rdiv_imm:
      map1(o, [=](Float a) { return div(imm, a); });
      break;
    case Op::max_imm:
      map1(o, [=](Float a) { return max_nan(a, imm); });
      break;
    case Op::min_imm:
      map1(o, [=](Float a) { return min_nan(a, imm); });
      break;
    case Op::pow_imm:
      map_floats(o, [=](float a, float) { return power(a, immediate); });
      break;
    case Op::add:
      map2(o, [](Float a, Float b) { return add(a, b); });
      break;
    case Op::sub:
      map2(o, [](Float a, Float b) { return sub(a, b); });
      break;
    case Op::mul:
      map2(o, [](Float a, Float b) { return mul(a, b); });
      break;
    case Op::div:
      map2(o, [](Float a, Float b) { return div(a, b); });
      break;
    case Op::max:
      map2(o, [](Float a, Float b) { return max_nan(a, b); });
      break;
    case Op::min:
      map2(o, [](Float a, Float b) { return min_nan(a, b); });
      break;
    case Op::pow:
      map_floats(o, [](float a, float b) { return power(a, b); });
      break;
    case Op::less:
      map2(o, [](Float a, Float b) { return one_if(less(a, b)); });
      break;
    case Op::less_equal:
      map2(o, [](Float a, Float b) { return one_if(less_equal(a, b)); });
      break;
    case Op::equal:
      map2(o, [](Float a, Float b) { return one_if(equal(a, b)); });
      break;
    case Op::select:
      map3(o, [](Float a, Float b, Float c) { return select(equal(a, broadcast(0.0f)), c, b); });
      break;
    case Op::mul_add:
      map3(o, [](Float a, Float b, Float c) { return fma(a, b, c); });
      break;
  }
}

}  // namespace

void ANEMONE_KERNEL(elementwise)(const ElementwiseStep* steps, int count,
                                 const ElementwiseOperand* operands, std::ptrdiff_t n) noexcept {
  for (const ElementwiseStep* step = steps; step != steps + count; ++step) {
    const Operands o{operands[step->dst], operands[step->a], operands[step->b], operands[step->c],
                     n};
    run_step(step->op, o, step->immediate);
  }
}

}  // namespace anemone::kernels

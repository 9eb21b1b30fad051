// The elementwise steps, one text for every instruction set. Each operation is one loop over a slot
// that the compiler unrolls.
#pragma once

#include "anemone/kernels/elementwise/elementwise.h"
#include "anemone/kernels/simd/math.h"
#include "anemone/kernels/simd/pow.h"
#include "anemone/kernels/simd/simd.h"

namespace anemone::kernels {
namespace {

struct Slots {
  float* dst;
  const float *a, *b, *c;
  std::ptrdiff_t n;
};

template <class Op>
ANEMONE_INLINE void map1(const Slots& s, Op op) {
  for (std::ptrdiff_t i = 0; i < s.n; i += kLanes) store(s.dst + i, op(load(s.a + i)));
}
template <class Op>
ANEMONE_INLINE void map2(const Slots& s, Op op) {
  for (std::ptrdiff_t i = 0; i < s.n; i += kLanes) {
    store(s.dst + i, op(load(s.a + i), load(s.b + i)));
  }
}
template <class Op>
ANEMONE_INLINE void map3(const Slots& s, Op op) {
  for (std::ptrdiff_t i = 0; i < s.n; i += kLanes) {
    store(s.dst + i, op(load(s.a + i), load(s.b + i), load(s.c + i)));
  }
}

ANEMONE_INLINE Float one_if(Mask mask) { return select(mask, broadcast(1.0f), broadcast(0.0f)); }

void run_step(ElementwiseOp op, const Slots& s, float immediate) {
  using Op = ElementwiseOp;
  const Float imm = broadcast(immediate);
  switch (op) {
    case Op::fill:
      for (std::ptrdiff_t i = 0; i < s.n; i += kLanes) store(s.dst + i, imm);
      break;
    case Op::copy:
      map1(s, [](Float a) { return a; });
      break;
    case Op::neg:
      map1(s, [](Float a) { return negate(a); });
      break;
    case Op::abs:
      map1(s, [](Float a) { return absolute(a); });
      break;
    case Op::square:
      map1(s, [](Float a) { return mul(a, a); });
      break;
    case Op::sqrt:
      map1(s, [](Float a) { return sqrt(a); });
      break;
    case Op::rsqrt:
      map1(s, [=](Float a) { return div(broadcast(1.0f), sqrt(add(a, imm))); });
      break;
    case Op::inverse:
      map1(s, [=](Float a) { return div(broadcast(1.0f), add(a, imm)); });
      break;
    case Op::exp:
      map1(s, [](Float a) { return exp(a); });
      break;
    case Op::log:
      map1(s, [=](Float a) { return log(add(a, imm)); });
      break;
    case Op::sigmoid:
      map1(s, [](Float a) { return sigmoid(a); });
      break;
    case Op::silu:
      map1(s, [](Float a) { return silu(a); });
      break;
    case Op::tanh:
      map1(s, [](Float a) { return tanh(a); });
      break;
    case Op::round_fp16:
      map1(s, [](Float a) { return round_f16(a); });
      break;
    case Op::round_bf16:
      map1(s, [](Float a) { return round_bf16(a); });
      break;
    case Op::add_imm:
      map1(s, [=](Float a) { return add(a, imm); });
      break;
    case Op::mul_imm:
      map1(s, [=](Float a) { return mul(a, imm); });
      break;
    case Op::rsub_imm:
      map1(s, [=](Float a) { return sub(imm, a); });
      break;
    case Op::div_imm:
      map1(s, [=](Float a) { return div(a, imm); });
      break;
    case Op::rdiv_imm:
      map1(s, [=](Float a) { return div(imm, a); });
      break;
    case Op::max_imm:
      map1(s, [=](Float a) { return max_nan(a, imm); });
      break;
    case Op::min_imm:
      map1(s, [=](Float a) { return min_nan(a, imm); });
      break;
    case Op::pow_imm:
      for (std::ptrdiff_t i = 0; i < s.n; ++i) s.dst[i] = power(s.a[i], immediate);
      break;
    case Op::add:
      map2(s, [](Float a, Float b) { return add(a, b); });
      break;
    case Op::sub:
      map2(s, [](Float a, Float b) { return sub(a, b); });
      break;
    case Op::mul:
      map2(s, [](Float a, Float b) { return mul(a, b); });
      break;
    case Op::div:
      map2(s, [](Float a, Float b) { return div(a, b); });
      break;
    case Op::max:
      map2(s, [](Float a, Float b) { return max_nan(a, b); });
      break;
    case Op::min:
      map2(s, [](Float a, Float b) { return min_nan(a, b); });
      break;
    case Op::pow:
      for (std::ptrdiff_t i = 0; i < s.n; ++i) s.dst[i] = power(s.a[i], s.b[i]);
      break;
    case Op::less:
      map2(s, [](Float a, Float b) { return one_if(less(a, b)); });
      break;
    case Op::less_equal:
      map2(s, [](Float a, Float b) { return one_if(less_equal(a, b)); });
      break;
    case Op::equal:
      map2(s, [](Float a, Float b) { return one_if(equal(a, b)); });
      break;
    case Op::select:
      map3(s, [](Float a, Float b, Float c) { return select(equal(a, broadcast(0.0f)), c, b); });
      break;
    case Op::mul_add:
      map3(s, [](Float a, Float b, Float c) { return fma(a, b, c); });
      break;
  }
}

}  // namespace

void ANEMONE_KERNEL(elementwise)(const ElementwiseStep* steps, int count, float* slots,
                                 std::ptrdiff_t slot_stride, std::ptrdiff_t n) noexcept {
  for (const ElementwiseStep* step = steps; step != steps + count; ++step) {
    const Slots s{slots + step->dst * slot_stride, slots + step->a * slot_stride,
                  slots + step->b * slot_stride, slots + step->c * slot_stride, n};
    run_step(step->op, s, step->immediate);
  }
}

}  // namespace anemone::kernels

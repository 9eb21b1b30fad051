// softmax along one axis.
#include <algorithm>
#include <cmath>
#include <limits>

#include "anemone/mil/ops/common.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

enum Param { kX, kAxis };

constexpr ParamDef kParams[] = {
    tensor_param("x", kFloats, "rank 1 or more"),
    optional_param("axis", kInts, std::int64_t{-1}),
};

std::vector<Type> infer(const OpContext& op) {
  op.axis(kAxis, op.shape(kX).rank());
  return {op.type(kX)};
}

std::int64_t terms(const OpContext& op) {
  return op.shape(kX)[op.axis(kAxis, op.shape(kX).rank())];
}

// `count` elements at distance `step`.
template <class T>
void softmax_line(const T* x, T* y, std::int64_t count, std::int64_t step) {
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t i = 0; i < count; ++i) largest = std::max(largest, real_part(x[i * step]));
  T sum(0);
  for (std::int64_t i = 0; i < count; ++i) {
    y[i * step] = std::exp(x[i * step] - largest);
    sum += y[i * step];
  }
  const T scale = 1.0 / sum;
  for (std::int64_t i = 0; i < count; ++i) y[i * step] *= scale;
}

template <class T>
void eval(const EvalContext<T>& context) {
  const auto& x = context.input(kX);
  const int axis = context.op.axis(kAxis, x.shape.rank());
  std::int64_t inner = 1, outer = 1;
  for (int i = 0; i < x.shape.rank(); ++i) (i < axis ? outer : inner) *= i == axis ? 1 : x.shape[i];
  const std::int64_t count = x.shape[axis];
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      const std::int64_t at = o * count * inner + i;
      softmax_line(x.data.data() + at, context.output().data.data() + at, count, inner);
    }
  }
}

bool sample(RandomProgram& random) {
  const Value x = random.value(kFloats, 1);
  const int rank = random.shape_of(x).rank();
  if (random.chance(0.3)) return random.emit(OpKind::softmax, {{"x", x}});
  return random.emit(OpKind::softmax, {{"x", x}, {"axis", random.integer(-rank, rank - 1)}});
}

}  // namespace

constinit const OpDef op_softmax = {
    .kind = OpKind::softmax,
    .name = "softmax",
    .doc = "e^x / Σ e^x along `axis`, with the largest x of the line subtracted first.",
    .params = kParams,
    .infer = infer,
    .eval_real = eval,
    .eval_complex = eval,
    // Each exponential, the sum of all, and the division.
    .tolerance = {.ulps = 1, .sums = 12},
    .terms = terms,
    .sample = sample,
};

}  // namespace anemone::mil

// Sums, means and maxima over some of the axes, and the logarithm of a sum of exponentials.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/mil/ops/common.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

enum Param { kX, kAxes, kKeepDims };

constexpr ParamDef kParams[] = {
    tensor_param("x", kNumbers),
    optional_param("axes", kInts, std::monostate{}, "default: all axes"),
    optional_param("keep_dims", kBool, false, "leave a 1 where an axis was"),
};

constexpr ParamDef kFloatParams[] = {
    tensor_param("x", kFloats),
    kParams[kAxes],
    kParams[kKeepDims],
};

// x's shape with 1 for the axes that go.
Shape kept_shape(const OpContext& op) {
  Shape shape = op.shape(kX);
  if (!op.has(kAxes)) {
    for (int axis = 0; axis < shape.rank(); ++axis) shape[axis] = 1;
    return shape;
  }
  for (const int axis : checked_axes(op.integers(kAxes), shape.rank())) shape[axis] = 1;
  return shape;
}

std::vector<Type> infer(const OpContext& op) {
  Shape shape = kept_shape(op);
  if (!op.boolean(kKeepDims)) {
    if (!op.has(kAxes)) return {Type::tensor(op.dtype(kX))};
    std::vector<int> axes = checked_axes(op.integers(kAxes), shape.rank());
    std::sort(axes.rbegin(), axes.rend());
    for (const int axis : axes) shape.erase(axis);
  }
  return {Type::tensor(op.dtype(kX), shape)};
}

std::int64_t terms(const OpContext& op) {
  return op.shape(kX).elements() / std::max<std::int64_t>(1, kept_shape(op).elements());
}

template <class T, class F>
void reduce(const EvalContext<T>& context, const T& start, F accumulate) {
  const auto& x = context.input(kX);
  const auto out = context.output().data;
  std::fill(out.begin(), out.end(), start);
  // The input is walked in order; the output's stride is 0 along the axes that go.
  const Strides to = broadcast_strides(kept_shape(context.op), x.shape);
  for_each_run<2>(x.shape, {contiguous_strides(x.shape), to},
                  [&](const auto& at, std::int64_t count, const auto& step) {
                    const T* in = x.data.data() + at[0];
                    T* sum = out.data() + at[1];
                    if (step[1] == 0) {
                      T total = *sum;
                      for (std::int64_t i = 0; i < count; ++i)
                        total = accumulate(total, in[i * step[0]]);
                      *sum = total;
                      return;
                    }
                    for (std::int64_t i = 0; i < count; ++i) {
                      T& element = sum[i * step[1]];
                      element = accumulate(element, in[i * step[0]]);
                    }
                  });
}

template <class T>
void eval_sum(const EvalContext<T>& context) {
  reduce<T>(context, T(0), [](const T& a, const T& b) { return a + b; });
}

template <class T>
void eval_mean(const EvalContext<T>& context) {
  eval_sum(context);
  const auto count = static_cast<double>(terms(context.op));
  for (T& value : context.output().data) value /= count;
}

template <class T>
void eval_max(const EvalContext<T>& context) {
  reduce<T>(context, T(-std::numeric_limits<double>::infinity()), [](const T& a, const T& b) {
    return real_part(b) > real_part(a) || std::isnan(real_part(b)) ? b : a;
  });
}

// The maximum comes off before the exponentials, so that none overflows; where it is infinite it is
// the result.
template <class T>
void eval_log_sum_exp(const EvalContext<T>& context) {
  eval_max(context);
  const auto& x = context.input(kX);
  const auto out = context.output().data;
  const std::vector<T> largest(out.begin(), out.end());
  std::vector<T> sums(out.size(), T(0));
  const Strides to = broadcast_strides(kept_shape(context.op), x.shape);
  for_each_run<2>(x.shape, {contiguous_strides(x.shape), to},
                  [&](const auto& at, std::int64_t count, const auto& step) {
                    for (std::int64_t i = 0; i < count; ++i) {
                      const auto sum = static_cast<std::size_t>(at[1] + i * step[1]);
                      sums[sum] += std::exp(x.data[static_cast<std::size_t>(at[0] + i * step[0])] -
                                            largest[sum]);
                    }
                  });
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!std::isinf(real_part(largest[i]))) out[i] += std::log(sums[i]);
  }
}

template <OpKind kind>
bool sample(RandomProgram& random) {
  const Value x = random.value(kind == OpKind::reduce_log_sum_exp ? kFloats : kNumbers);
  std::vector<Builder::Argument> arguments{{"x", x}};
  if (random.chance(0.8)) arguments.emplace_back("axes", random.subset(random.shape_of(x).rank()));
  if (random.chance(0.7)) arguments.emplace_back("keep_dims", random.chance(0.5));
  return random.emit(kind, std::move(arguments));
}

constexpr OpDef reduction(OpKind kind, std::string_view name, std::string_view doc,
                          void (*real)(const EvalContext<double>&),
                          void (*complex)(const EvalContext<std::complex<double>>&),
                          Tolerance tolerance, bool (*sample_of)(RandomProgram&),
                          std::span<const ParamDef> params = kParams) {
  return {.kind = kind,
          .name = name,
          .doc = doc,
          .params = params,
          .infer = infer,
          .eval_real = real,
          .eval_complex = complex,
          .tolerance = tolerance,
          .terms = terms,
          .sample = sample_of};
}

constexpr Tolerance kSum{.ulps = 1, .sums = 1, .magnitude_from_absolute_inputs = true};
// One more rounding, of the division.
constexpr Tolerance kMean{.ulps = 1, .sums = 2, .magnitude_from_absolute_inputs = true};
// Each term is rounded when its shift is subtracted and by the exponential (12 in a softmax); the
// logarithm makes what is relative to the sum absolute.
constexpr Tolerance kLogSumExp{.ulps = 1, .sums = 12, .magnitude_from_absolute_inputs = true};

}  // namespace

constinit const OpDef op_reduce_sum =
    reduction(OpKind::reduce_sum, "reduce_sum", "The sum over the axes.", eval_sum, eval_sum, kSum,
              sample<OpKind::reduce_sum>);
constinit const OpDef op_reduce_mean = reduction(
    OpKind::reduce_mean, "reduce_mean", "The mean over the axes. Integers round toward zero.",
    eval_mean, eval_mean, kMean, sample<OpKind::reduce_mean>);
constinit const OpDef op_reduce_max = reduction(
    OpKind::reduce_max, "reduce_max", "The largest element over the axes; NaN if one of them is.",
    eval_max, eval_max, {.ulps = 0, .sums = 0}, sample<OpKind::reduce_max>);
constinit const OpDef op_reduce_log_sum_exp =
    reduction(OpKind::reduce_log_sum_exp, "reduce_log_sum_exp",
              "log(sum(e^x)) over the axes, computed without overflow.", eval_log_sum_exp,
              eval_log_sum_exp, kLogSumExp, sample<OpKind::reduce_log_sum_exp>, kFloatParams);

}  // namespace anemone::mil

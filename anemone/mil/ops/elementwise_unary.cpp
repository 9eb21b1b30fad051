// Element-wise functions of one tensor.
#include <cmath>

#include "anemone/mil/ops/common.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

template <class T, class F>
void map_unary(const EvalContext<T>& context, F f) {
  const auto in = context.input(0).data;
  const auto out = context.output().data;
  for (std::size_t i = 0; i < in.size(); ++i) out[i] = f(in[i]);
}

// Without overflow on either side.
template <class T>
T logistic(const T& x) {
  if (real_part(x) >= 0) return 1.0 / (1.0 + std::exp(-x));
  const T e = std::exp(x);
  return e / (1.0 + e);
}

template <class T>
void eval_sqrt(const EvalContext<T>& context) {
  map_unary<T>(context, [](const T& x) { return std::sqrt(x); });
}
template <class T>
void eval_rsqrt(const EvalContext<T>& context) {
  const double epsilon = context.op.number(1);
  map_unary<T>(context, [epsilon](const T& x) { return 1.0 / std::sqrt(x + epsilon); });
}
template <class T>
void eval_exp(const EvalContext<T>& context) {
  map_unary<T>(context, [](const T& x) { return std::exp(x); });
}
template <class T>
void eval_tanh(const EvalContext<T>& context) {
  map_unary<T>(context, [](const T& x) { return std::tanh(x); });
}
template <class T>
void eval_sigmoid(const EvalContext<T>& context) {
  map_unary<T>(context, [](const T& x) { return logistic(x); });
}
template <class T>
void eval_silu(const EvalContext<T>& context) {
  map_unary<T>(context, [](const T& x) { return x * logistic(x); });
}

constexpr ParamDef kParams[] = {tensor_param("x", kFloats)};
constexpr ParamDef kRsqrtParams[] = {
    tensor_param("x", kFloats),
    optional_param("epsilon", kFloats, 1e-12, "added to x"),
};

// Any operand, but for what overflows or is not defined.
template <OpKind kind>
bool sample(RandomProgram& random) {
  return random.emit(kind, {{"x", random.value(kFloats, 0, 4, -RandomProgram::kLimit, 4)}});
}

template <OpKind kind>
bool sample_positive(RandomProgram& random) {
  const Value x = random.value(kFloats, 0, 4, 0.01);
  if (kind != OpKind::rsqrt || random.chance(0.5)) return random.emit(kind, {{"x", x}});
  return random.emit(kind, {{"x", x}, {"epsilon", random.real(0.001, 0.1)}});
}

constexpr OpDef unary(OpKind kind, std::string_view name, std::string_view doc,
                      void (*real)(const EvalContext<double>&),
                      void (*complex)(const EvalContext<std::complex<double>>&),
                      Tolerance tolerance, bool (*sample_of)(RandomProgram&)) {
  return {.kind = kind,
          .name = name,
          .doc = doc,
          .params = kParams,
          .infer = infer_like_first,
          .eval_real = real,
          .eval_complex = complex,
          .tolerance = tolerance,
          .sample = sample_of};
}

constexpr Tolerance kCorrectlyRounded{.ulps = 1, .sums = 1};
// A polynomial in fp32: a few units in its last place.
constexpr Tolerance kPolynomial{.ulps = 1, .sums = 8};

}  // namespace

constinit const OpDef op_sqrt = unary(OpKind::sqrt, "sqrt", "The square root of x.", eval_sqrt,
                                      eval_sqrt, kCorrectlyRounded, sample_positive<OpKind::sqrt>);
constinit const OpDef op_rsqrt = {
    .kind = OpKind::rsqrt,
    .name = "rsqrt",
    .doc = "1 / √(x + epsilon).",
    .params = kRsqrtParams,
    .infer = infer_like_first,
    .eval_real = eval_rsqrt,
    .eval_complex = eval_rsqrt,
    .tolerance = {.ulps = 1, .sums = 4},
    .sample = sample_positive<OpKind::rsqrt>,
};
constinit const OpDef op_exp = unary(OpKind::exp, "exp", "e to the power x.", eval_exp, eval_exp,
                                     kPolynomial, sample<OpKind::exp>);
constinit const OpDef op_tanh = unary(OpKind::tanh, "tanh", "The hyperbolic tangent of x.",
                                      eval_tanh, eval_tanh, kPolynomial, sample<OpKind::tanh>);
constinit const OpDef op_sigmoid =
    unary(OpKind::sigmoid, "sigmoid", "1 / (1 + e^−x).", eval_sigmoid, eval_sigmoid, kPolynomial,
          sample<OpKind::sigmoid>);
constinit const OpDef op_silu = unary(OpKind::silu, "silu", "x / (1 + e^−x).", eval_silu, eval_silu,
                                      kPolynomial, sample<OpKind::silu>);

}  // namespace anemone::mil

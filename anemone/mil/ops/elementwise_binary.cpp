// Element-wise operations on two tensors that broadcast against each other.
#include <cmath>
#include <utility>

#include "anemone/mil/ops/common.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

template <class T, class F>
void map_binary(const EvalContext<T>& context, F f) {
  const auto &x = context.input(0), &y = context.input(1);
  const auto& out = context.output();
  for_each_run<3>(out.shape,
                  {contiguous_strides(out.shape), broadcast_strides(x.shape, out.shape),
                   broadcast_strides(y.shape, out.shape)},
                  [&](const auto& at, std::int64_t count, const auto& step) {
                    T* to = out.data.data() + at[0];
                    const T *a = x.data.data() + at[1], *b = y.data.data() + at[2];
                    for (std::int64_t i = 0; i < count; ++i) {
                      to[i * step[0]] = f(a[i * step[1]], b[i * step[2]]);
                    }
                  });
}

template <class T>
void eval_add(const EvalContext<T>& context) {
  map_binary<T>(context, [](T x, T y) { return x + y; });
}
template <class T>
void eval_sub(const EvalContext<T>& context) {
  map_binary<T>(context, [](T x, T y) { return x - y; });
}
template <class T>
void eval_mul(const EvalContext<T>& context) {
  map_binary<T>(context, [](T x, T y) { return x * y; });
}
template <class T>
void eval_real_div(const EvalContext<T>& context) {
  map_binary<T>(context, [](T x, T y) { return x / y; });
}
template <class T>
void eval_maximum(const EvalContext<T>& context) {
  map_binary<T>(context, [](T x, T y) {
    return real_part(x) > real_part(y) || std::isnan(real_part(x)) ? x : y;
  });
}

double power(double x, double y) { return std::pow(x, y); }

// To first order in the imaginary parts, which is what the complex step needs. The complex power
// itself goes by the logarithm, whose rounding for a negative base (x² at x < 0) would drown a
// small imaginary part.
std::complex<double> power(const std::complex<double>& x, const std::complex<double>& y) {
  const double value = std::pow(x.real(), y.real());
  double imaginary = 0;
  if (x.imag() != 0) imaginary += y.real() * std::pow(x.real(), y.real() - 1) * x.imag();
  if (y.imag() != 0) imaginary += std::log(x.real()) * value * y.imag();
  return {value, imaginary};
}

template <class T>
void eval_pow(const EvalContext<T>& context) {
  map_binary<T>(context, [](const T& x, const T& y) { return T(power(x, y)); });
}

constexpr ParamDef kParams[] = {
    tensor_param("x", kNumbers),
    tensor_param("y", kNumbers, "broadcast against x, of the same element type"),
};

template <OpKind kind>
bool sample(RandomProgram& random) {
  Value x = random.value(kNumbers), y = random.partner(x);
  if (random.chance(0.5)) std::swap(x, y);
  return random.emit(kind, {{"x", x}, {"y", y}});
}

bool sample_real_div(RandomProgram& random) {
  const Value x = random.value(kNumbers);
  const Value y = random.partner(x, is_float(random.type(x).dtype) ? 0.25 : 1.0);
  return random.emit(OpKind::real_div, {{"x", x}, {"y", y}});
}

bool sample_pow(RandomProgram& random) {
  constexpr double kExponents[] = {2, 3, 0.5, -0.5, -1};
  if (random.chance(0.3)) {  // a square of anything
    const Value x = random.value(kNumbers);
    return random.emit(OpKind::pow, {{"x", x}, {"y", 2.0}});
  }
  const Value x = random.value(kFloats, 0, 4, 0.1, 4);
  return random.emit(OpKind::pow, {{"x", x}, {"y", kExponents[random.integer(0, 4)]}});
}

constexpr OpDef binary(OpKind kind, std::string_view name, std::string_view doc,
                       void (*real)(const EvalContext<double>&),
                       void (*complex)(const EvalContext<std::complex<double>>&),
                       Tolerance tolerance, bool (*sample_of)(RandomProgram&)) {
  return {.kind = kind,
          .name = name,
          .doc = doc,
          .params = kParams,
          .infer = infer_broadcast,
          .eval_real = real,
          .eval_complex = complex,
          .tolerance = tolerance,
          .sample = sample_of};
}

// One operation in fp32, then rounded: a single rounding of fp32 beyond the one of the declared
// type.
constexpr Tolerance kOneRounding{.ulps = 1, .sums = 1};
// A library's pow: a few units in the last place of fp32.
constexpr Tolerance kLibrary{.ulps = 1, .sums = 4};

}  // namespace

constinit const OpDef op_add = binary(OpKind::add, "add", "x + y, with broadcasting.", eval_add,
                                      eval_add, kOneRounding, sample<OpKind::add>);
constinit const OpDef op_sub = binary(OpKind::sub, "sub", "x − y, with broadcasting.", eval_sub,
                                      eval_sub, kOneRounding, sample<OpKind::sub>);
constinit const OpDef op_mul = binary(OpKind::mul, "mul", "x · y, with broadcasting.", eval_mul,
                                      eval_mul, kOneRounding, sample<OpKind::mul>);
constinit const OpDef op_real_div =
    binary(OpKind::real_div, "real_div",
           "x / y, with broadcasting. Integers round toward zero; dividing one by zero gives the "
           "largest or smallest integer, and 0 / 0 gives 0.",
           eval_real_div, eval_real_div, kOneRounding, sample_real_div);
constinit const OpDef op_maximum =
    binary(OpKind::maximum, "maximum",
           "The larger of x and y, with broadcasting; NaN where one of them is.", eval_maximum,
           eval_maximum, {.ulps = 0, .sums = 0}, sample<OpKind::maximum>);
constinit const OpDef op_pow =
    binary(OpKind::pow, "pow", "x to the power y, with broadcasting. Integers round toward zero.",
           eval_pow, eval_pow, kLibrary, sample_pow);

}  // namespace anemone::mil

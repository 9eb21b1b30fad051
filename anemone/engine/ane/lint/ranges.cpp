// Interval arithmetic over the operations that occur in hazards, one pass in the order of the text.
#include "anemone/engine/ane/lint/ranges.h"

#include <algorithm>
#include <cmath>

namespace anemone::engine::ane::lint {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// 0 · inf is 0 here: a bound times nothing is nothing.
double times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }

Interval sum(Interval a, Interval b) {
  Interval result{a.low + b.low, a.high + b.high};
  if (std::isnan(result.low)) result.low = -kInfinity;
  if (std::isnan(result.high)) result.high = kInfinity;
  return result;
}

Interval negated(Interval a) { return {-a.high, -a.low}; }

Interval product_of(Interval a, Interval b) {
  const auto [low, high] = std::minmax(
      {times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)});
  return {low, high};
}

Interval square_of(Interval a) { return {0, times(a.magnitude(), a.magnitude())}; }

Interval united(Interval a, Interval b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high)};
}

Interval symmetric(double bound) { return {-bound, bound}; }

}  // namespace

double Interval::magnitude() const { return std::max(std::abs(low), std::abs(high)); }
bool Interval::is_bounded() const { return std::isfinite(low) && std::isfinite(high); }

Ranges::Ranges(const FunctionView& function)
    : function_(function), values_(function.function().values.size()) {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const mil::Constant* constant = function.function().constant({static_cast<std::int32_t>(i)});
    const ConstantFacts* facts = constant != nullptr ? function.facts(*constant) : nullptr;
    if (facts != nullptr && facts->nans == 0) values_[i] = {facts->low, facts->high};
  }
  for (const OpView& op : function.ops()) {
    const Interval range = result(op);
    for (const mil::Value value : op.results()) {
      if (value.valid()) values_[static_cast<std::size_t>(value.index)] = range;
    }
  }
}

Interval Ranges::of(mil::Value value) const {
  return value.valid() ? values_[static_cast<std::size_t>(value.index)] : Interval{};
}

Interval Ranges::result(const OpView& op) const {
  if (moves_only(op) || op.is_any("cast", "reduce_max", "reduce_min", "reduce_mean")) {
    return of(op, "x");
  }
  if (op.is_any("concat", "select", "stack")) return joined(op);
  if (op.is_any("conv", "matmul", "linear", "reduce_sum")) return product(op);
  if (op.has("x") && op.has("y")) return binary(op);
  return unary(op);
}

Interval Ranges::joined(const OpView& op) const {
  Interval all{kInfinity, -kInfinity};
  for (const OpView::Argument& argument : op.arguments()) {
    if (!(argument.name == "values" || argument.name == "a" || argument.name == "b")) continue;
    for (const mil::Value value : argument.values) all = united(all, of(value));
  }
  return all.low <= all.high ? all : Interval{};
}

Interval Ranges::binary(const OpView& op) const {
  const Interval x = of(op, "x"), y = of(op, "y");
  const bool same = op.value("x") == op.value("y");
  if (op.is("add")) return sum(x, y);
  if (op.is("mul")) return same ? square_of(x) : product_of(x, y);
  if (op.is("maximum")) return {std::max(x.low, y.low), std::max(x.high, y.high)};
  if (op.is("minimum")) return {std::min(x.low, y.low), std::min(x.high, y.high)};
  if (op.is("sub")) {
    Interval range = sum(x, negated(y));
    // x - max(x), as in a softmax written out.
    const OpView* maximum = function_.producer(op.value("y"));
    if (maximum != nullptr && maximum->is("reduce_max") && maximum->value("x") == op.value("x")) {
      range.high = std::min(range.high, 0.0);
    }
    return range;
  }
  if (op.is("pow")) {
    if (op.number("y") == 2.0) return square_of(x);
    return {x.low >= 0 ? 0 : -kInfinity, kInfinity};
  }
  if (op.is("real_div") && (y.low > 0 || y.high < 0)) {
    return product_of(x, {1 / y.high, 1 / y.low});
  }
  return {};
}

Interval Ranges::unary(const OpView& op) const {
  const Interval x = of(op, "x");
  if (op.is_any("sigmoid", "softmax")) return {0, 1};
  if (op.is_any("tanh", "softsign", "erf")) return symmetric(1);
  if (op.is_any("sin", "cos")) return symmetric(1);
  if (op.is("exp")) return {std::exp(x.low), std::exp(x.high)};
  if (op.is("sqrt")) return {std::sqrt(std::max(x.low, 0.0)), std::sqrt(std::max(x.high, 0.0))};
  if (op.is("rsqrt")) return {0, kInfinity};
  if (op.is("square")) return square_of(x);
  if (op.is("abs")) return {0, x.magnitude()};
  if (op.is("relu")) return {std::max(x.low, 0.0), std::max(x.high, 0.0)};
  // The smallest value of x · sigmoid(x) is -0.2785.
  if (op.is("silu")) return {-0.28, std::max(x.high, 0.0)};
  return {};
}

// Sums of products: bounded by the largest sum of absolute weights times the largest input, or by
// the number of terms.
Interval Ranges::product(const OpView& op) const {
  const double x = of(op, "x").magnitude();
  if (op.is_any("conv", "linear")) {
    const mil::Constant* weight = op.constant("weight");
    const ConstantFacts* facts = weight != nullptr ? function_.facts(*weight) : nullptr;
    if (facts == nullptr || facts->nans > 0 || op.has("bias")) return {};
    return symmetric(times(facts->largest_row, x));
  }
  const Shape *shape = op.shape("x"), *result = op.result_shape();
  if (shape == nullptr || result == nullptr) return {};
  if (op.is("reduce_sum")) {
    const auto outer = static_cast<double>(std::max<std::int64_t>(result->elements(), 1));
    const double terms = static_cast<double>(shape->elements()) / outer;
    return product_of(of(op, "x"), {terms, terms});
  }
  const auto terms = contraction(op);
  if (!terms) return {};
  return symmetric(times(static_cast<double>(*terms), times(x, of(op, "y").magnitude())));
}

}  // namespace anemone::engine::ane::lint

// Rules 74 to 85: arithmetic. Hazards are decided from shapes, from what operations can give at
// most, and from the values of constants where they are known.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "anemone/engine/ane/lint/ranges.h"
#include "anemone/engine/ane/lint/rule.h"

namespace anemone::engine::ane::lint {
namespace {

constexpr double kLargest = 65504;          // of fp16
constexpr double kSmallest = 0x1p-24;       // of fp16, subnormal
constexpr double kLargestProduct = 32768;   // where convolutions and products saturate
constexpr double kUsual = 16;               // activations behind a norm stay below
constexpr double kTooManySubnormals = 0.1;  // of a tensor's weights

bool is_half(const OpView& op) { return op.result_dtype() == DType::fp16; }

// x², in any spelling; not valid: another operation.
mil::Value squared(const OpView* op) {
  if (op == nullptr) return {};
  if (op->is("mul") && op->value("x") == op->value("y")) return op->value("x");
  if (op->is("square") || (op->is("pow") && op->number("y") == 2.0)) return op->value("x");
  return {};
}

// How many numbers a reduction adds up for one element.
double summed(const OpView& op) {
  const Shape *x = op.shape("x"), *result = op.result_shape();
  if (x == nullptr || result == nullptr || result->elements() == 0) return 0;
  return static_cast<double>(x->elements()) / static_cast<double>(result->elements());
}

void sum_of_squares(const OpView& op, const Ranges& ranges, Report& report) {
  const bool by_itself = op.is("reduce_sum_square");
  const mil::Value x = by_itself ? op.value("x") : squared(op.function().producer(op.value("x")));
  const double terms = summed(op);
  if (!(by_itself || op.is("reduce_sum")) || !x.valid() || terms <= 0) return;
  const double rms = std::sqrt(kLargest / terms);
  if (ranges.of(x).magnitude() <= rms) return;
  report.add(
      op, fmt::format("the sum of {:.0f} squares overflows from an rms of {:.3g} on", terms, rms),
      Certainty::A);
}

void saturated_product(const OpView& op, const Ranges& ranges, Report& report) {
  const mil::Constant* weight = op.constant("weight");
  const ConstantFacts* facts = weight != nullptr ? op.function().facts(*weight) : nullptr;
  if (!op.is_any("conv", "linear") || facts == nullptr || facts->largest_row <= 0) return;
  const double limit = kLargestProduct / facts->largest_row;
  const bool possible = ranges.of(op, "x").magnitude() > limit;
  if (limit >= kUsual || !possible) return;
  report.add(op, fmt::format("its weights add up to {:.3g}: inputs of {:.3g} can pass 2^15",
                             facts->largest_row, limit));
}

void bounded_product(const OpView& op, const Ranges& ranges, Report& report) {
  if (!op.is("matmul") || op.results().empty()) return;
  const Interval range = ranges.of(op.results()[0]);
  if (!range.is_bounded() || range.magnitude() < kLargestProduct) return;
  report.add(op, fmt::format("can reach {:.3g}, beyond 2^15", range.magnitude()));
}

void overflow(const FunctionView& function, Report& report) {
  const Ranges ranges(function);
  for (const OpView& op : function.ops()) {
    if (!is_half(op)) continue;
    sum_of_squares(op, ranges, report);
    saturated_product(op, ranges, report);
    bounded_product(op, ranges, report);
  }
}

// The constant factor that an operation multiplies with; 0: none.
double factor(const OpView& op) {
  const auto x = op.number("x"), y = op.number("y");
  if (op.is("mul")) return std::abs(x.value_or(y.value_or(0)));
  if (op.is("real_div") && y && *y != 0) return 1 / std::abs(*y);
  return 0;
}

void underflow(const OpView& op, Report& report) {
  if (!is_half(op)) return;
  if (const double by = factor(op); by > 0 && by < kSmallestNormal) {
    report.add(
        op,
        fmt::format("times {:.3g}: products with numbers below {:.3g} vanish", by, kSmallest / by),
        Certainty::A);
  }
  const mil::Constant* weight = op.is_any("conv", "linear") ? op.constant("weight") : nullptr;
  const ConstantFacts* facts = weight != nullptr ? op.function().facts(*weight) : nullptr;
  if (facts == nullptr || facts->nonzero == 0) return;
  const Fact& fact = op.function().target().quirks.products_flush_subnormals;
  const double share = static_cast<double>(facts->subnormal) / static_cast<double>(facts->nonzero);
  if (fact.holds && share > kTooManySubnormals) {
    report.add(op,
               fmt::format("{:.0f} % of its weights are below 2^-14 and count as 0", 100 * share),
               fact.certainty);
  }
}

void not_numbers(const FunctionView& function, Report& report) {
  for (const mil::Operation& op : function.function().ops) {
    if (op.constant == nullptr || op.results.empty() || op.constant->has_strings()) continue;
    const ConstantFacts* facts = function.facts(*op.constant);
    if (facts == nullptr || facts->nans == 0) continue;
    report.add(function, op.results.front(),
               fmt::format("{} of {} numbers are NaN, which is read as infinity", facts->nans,
                           facts->count),
               Certainty::C);
  }
}

struct Activation {
  std::string_view name;
  double error;
};
constexpr Activation kActivations[] = {
    {"sigmoid", 0.0034}, {"tanh", 0.0017}, {"gelu", 0.0059}, {"silu", 0.015}};

void activations(const FunctionView& function, Report& report) {
  std::string found;
  for (const Activation& activation : kActivations) {
    if (!function.contains(activation.name)) continue;
    found += fmt::format("{}{} (off by up to {})", found.empty() ? "" : ", ", activation.name,
                         activation.error);
  }
  if (!found.empty()) report.add(function, "computed from tables: " + found);
}

constexpr double kGainLimit = 4094;

// Where along the width a slice begins; nothing: not known, or not along the width.
bool begins_inside_width(const OpView& op) {
  const Shape* x = op.shape("x");
  if (x == nullptr || x->rank() == 0) return false;
  if (op.is_any("slice_by_size", "slice_by_index")) {
    const auto begin = op.integers("begin");
    return static_cast<int>(begin.size()) == x->rank() && begin.back() != 0;
  }
  const auto axis = op.number("axis");
  return op.is("split") && axis &&
         normalize_axis(static_cast<std::int64_t>(*axis), x->rank()) == x->rank() - 1;
}

void width_slices(const FunctionView& function, Report& report) {
  const Fact& fact = function.target().quirks.width_slice_gain;
  if (!fact.holds) return;
  const Ranges ranges(function);
  for (const OpView& op : function.ops()) {
    if (!is_half(op) || !begins_inside_width(op)) continue;
    if (ranges.of(op, "x").magnitude() <= kGainLimit) continue;
    report.add(op,
               fmt::format("begins inside the width: numbers above {} become infinite", kGainLimit),
               fact.certainty);
  }
}

constexpr double kExpLimit = 11.09, kSquareLimit = 255.9;

// Rule 76 speaks of squares that are only added up.
bool only_summed(const OpView& op) {
  const auto readers =
      op.results().empty() ? std::vector<const OpView*>() : op.function().readers(op.results()[0]);
  return !readers.empty() && std::all_of(readers.begin(), readers.end(), [](const OpView* reader) {
    return reader->is("reduce_sum");
  });
}

void steep_functions(const FunctionView& function, Report& report) {
  const Ranges ranges(function);
  for (const OpView& op : function.ops()) {
    if (!is_half(op)) continue;
    if (op.is("exp") && ranges.of(op, "x").high > kExpLimit) {
      report.add(op, fmt::format("overflows above {}", kExpLimit));
    }
    const mil::Value x = squared(&op);
    if (x.valid() && !only_summed(op) && ranges.of(x).magnitude() > kSquareLimit) {
      report.add(op, fmt::format("the square overflows above {}", kSquareLimit), Certainty::A);
    }
  }
}

constexpr NotDecidable kArithmetic = {"it is true of every program; --numerics ane emulates it"};

constexpr Rule kNumberRules[] = {
    {74, "Products of fp16 in a wide accumulator", Effect::fact, Certainty::D,
     "Rounded once, at the output. On M3 Ultra each product is rounded to fp16 first.", "Nothing.",
     "ane-guide, MiniMax-H3", kArithmetic},
    {75, "Four products rounded first on M1", Effect::fact, Certainty::C,
     "The first stage adds four lanes and rounds them to fp16: 4096 and 1,024 ones are 5116 there "
     "and 5120 on M3 Ultra.",
     "Nothing.", "ane-guide, MiniMax-H3", kArithmetic},
    {76, "Products saturate at 2^15, sums at 65504", Effect::numbers, Certainty::C,
     "From 32768 on, a convolution or product gives infinity, also where only a part of its sum "
     "passes it; on M3 Ultra such a part gives 0. Element-wise operations and reduce_sum go to "
     "65504, so a sum of squares of N channels overflows from an rms of sqrt(65504 / N) on.",
     "Take the mean, not the sum, or scale before squaring; keep products small.",
     "ane-guide, MiniMax-H3; arithmetic", FunctionCheck{overflow}},
    {77, "Small numbers vanish", Effect::numbers, Certainty::C,
     "Below 2^-24 is nothing. Convolutions and products of M1 and M3 Ultra take numbers below "
     "2^-14 "
     "as 0; M5 keeps them. A gradient that is divided by the number of elements in fp16 is lost "
     "so.",
     "Scale the loss, and multiply by the factor where numbers are large.",
     "ane-guide, MiniMax-H3, maderix/ANE", OpCheck{underflow}},
    {78, "There is no NaN", Effect::numbers, Certainty::C,
     "NaN is read as infinity and never made: inf - inf, 0 · inf, sqrt(-1) and log(-1) are 0, "
     "log(0) "
     "is -45440. A check of results for NaN never fires: look for infinity and for all zeros.",
     "Remove NaN from constants.", "ane-guide", FunctionCheck{not_numbers}},
    {79, "Ties are rounded to even, or not", Effect::fact, Certainty::C,
     "To even on M1; M5 and M3 Ultra round some up (2049 becomes 2050).", "Nothing.",
     "ane-guide, MiniMax-H3", kArithmetic},
    {80, "Activations are tables of 33 points", Effect::fact, Certainty::B,
     "Linear in between. gelu(0) is -0.00054, silu(0) is -0.00126.",
     "Expect results to differ by that much.", "ane-guide, ironmill", FunctionCheck{activations}},
    {81, "Slices inside the width lose range", Effect::numbers, Certainty::C,
     "A slice of the last axis that does not begin at 0 multiplies by 16 on the way: above 4094 it "
     "is infinite on M1 and M2. Later chips are right. Slices of channels are safe.",
     "Slice channels, or keep what is sliced small.", "ane-guide", FunctionCheck{width_slices}},
    {82, "exp and squares overflow early", Effect::numbers, Certainty::C,
     "exp from 11.09 on, a square from 256 on. softmax subtracts the maximum and is safe.",
     "Subtract reduce_max before exp; scale before squaring.", "ane-guide; arithmetic",
     FunctionCheck{steep_functions}},
    {83, "The same bits on the same chip", Effect::fact, Certainty::C,
     "For repeated runs, compiles and places in a batch; up to one unit in the last place between "
     "chips. The order of additions in the program decides.",
     "Nothing.", "ane-guide", NotDecidable{"it is about repeated runs"}},
    {84, "How large a loss scale may be", Effect::fact, Certainty::C,
     "The weight gradient of one fixed convolution on M1 was exact at 384 and infinite at 512; a "
     "small "
     "network took 65536.",
     "Use the dynamic loss scale.", "ane-guide",
     NotDecidable{"it depends on the numbers of a run"}},
    {85, "Adam and scaled gradients", Effect::fact, Certainty::C,
     "The scale cancels in Adam's ratio, but epsilon and clipping must be scaled with it.",
     "Nothing: the trainer takes the scale out first.", "ane-guide; our reading",
     NotDecidable{"it is about the optimizer, which the host computes"}},
};

}  // namespace

Rules number_rules() { return kNumberRules; }

}  // namespace anemone::engine::ane::lint

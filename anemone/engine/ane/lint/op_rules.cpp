// Rules 9 to 30: operations that the Neural Engine takes, takes in some forms, or does not take.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "anemone/engine/ane/lint/rule.h"

namespace anemone::engine::ane::lint {
namespace {

void concat(const OpView& op, Report& report) {
  if (!op.is("concat")) return;
  const OpView::Argument* values = op.argument("values");
  if (values != nullptr && values->values.size() < 2) report.add(op, "has one operand");
  if (const auto axis = op.number("axis"); axis && *axis < 0) {
    report.add(op, fmt::format("counts its axis from the end ({})", *axis));
  }
  if (!op.has("interleave")) report.add(op, "does not give interleave");
}

// An operation that the target does not take as it is.
void not_taken(const OpView& op, std::string_view name, const Fact& fact, Report& report) {
  if (!op.is(name) || fact.holds) return;
  report.add(op, fmt::format("not known to work on {}", op.function().target().name),
             fact.certainty);
}

void reduce_mean(const OpView& op, Report& report) {
  not_taken(op, "reduce_mean", op.function().target().takes.reduce_mean, report);
}

void epsilon(const OpView& op, Report& report) {
  if (!op.is_any("rsqrt", "log", "inverse")) return;
  if (!op.has("epsilon")) return report.add(op, "does not give epsilon");
  not_taken(op, "rsqrt", op.function().target().takes.rsqrt, report);
}

void power(const OpView& op, Report& report) {
  if (!op.is("pow")) return;
  const Shape* exponent = op.shape("y");
  if (op.is_computed("y") || (exponent != nullptr && exponent->elements() != 1)) {
    report.add(op, "the exponent is not one constant number");
  } else if (op.function().target().takes.pow.certainty == Certainty::D) {
    report.add(op, fmt::format("contested on {}", op.function().target().name));
  }
}

void gelu(const OpView& op, Report& report) {
  if (op.is("gelu") && !op.has("mode")) report.add(op, "does not give mode");
}

void silu(const OpView& op, Report& report) {
  not_taken(op, "silu", op.function().target().takes.silu, report);
}

bool is_rejected(const OpView& op) {
  return op.is_any("neg", "mod", "tan", "asin", "acos", "sinh", "cosh", "reduce_prod", "scatter",
                   "scatter_nd", "scatter_along_axis", "logical_and", "logical_or", "logical_xor",
                   "where");
}
// Refused in the form that was tried; programs of Apple's have them.
bool is_rejected_somewhere(const OpView& op) {
  return op.is_any("batch_norm", "avg_pool", "max_pool");
}

void rejected(const OpView& op, Report& report) {
  const Target& target = op.function().target();
  if (is_rejected(op)) return report.add(op, "not taken");
  if (is_rejected_somewhere(op)) return report.add(op, "refused in some forms", Certainty::D);
  if (op.is_any("sin", "cos")) {
    const Fact& fact = target.takes.sin_cos;
    if (!fact.holds) report.add(op, fmt::format("not taken by {}", target.name), fact.certainty);
    if (fact.holds) report.add(op, "taken by one report, refused by another", Certainty::D);
  }
  if (op.is("gather") && op.is_computed("indices")) report.add(op, "its indices are computed");
  const auto from = op.dtype("x"), to = op.result_dtype();
  if (op.is("cast") && from && to &&
      ((*from == DType::int32 && is_float(*to)) || (*to == DType::int32 && is_float(*from)))) {
    report.add(op, fmt::format("from {} to {}", dtype_name(*from), dtype_name(*to)));
  }
}

constexpr std::array<std::string_view, 67> kTried = {
    "add", "sub", "mul", "real_div", "maximum", "minimum", "floor_div", "abs", "sign", "sqrt",
    "square", "exp", "exp2", "erf", "ceil", "floor", "round", "atan", "pow", "clip", "relu",
    "sigmoid", "tanh", "softmax", "silu", "softsign", "softplus", "greater", "greater_equal",
    "less", "less_equal", "equal", "not_equal", "select", "logical_not", "reduce_sum",
    "reduce_mean", "reduce_max", "reduce_min", "reduce_l2_norm", "reduce_log_sum_exp", "matmul",
    "layer_norm", "concat", "pad", "identity", "cast", "quantize", "dequantize", "reshape",
    "slice_by_index", "tile", "transpose", "slice_by_size", "split", "expand_dims", "squeeze",
    "reverse", "relu6",
    // Not in that matrix, but in other rules or in every program that was run.
    "conv", "linear", "gelu", "rsqrt", "log", "inverse", "reduce_argmax", "reduce_argmin"};
constexpr std::array<std::string_view, 6> kTriedElsewhere = {"gather",
                                                             "sin",
                                                             "cos",
                                                             "conv_transpose",
                                                             "constexpr_affine_dequantize",
                                                             "scaled_dot_product_attention"};

template <class Names>
bool is_in(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void untried(const OpView& op, Report& report) {
  if (is_in(kTried, op.name()) || is_in(kTriedElsewhere, op.name()) || is_rejected(op) ||
      is_rejected_somewhere(op)) {
    return;
  }
  report.add(op, "no report says whether it is taken");
}

void layer_norm(const OpView& op, Report& report) {
  if (!op.is("layer_norm")) return;
  for (const char* param : {"axes", "epsilon"}) {
    if (op.is_computed(param)) report.add(op, fmt::format("{} is computed", param));
    if (!op.has(param)) report.add(op, fmt::format("does not give {}", param), Certainty::E);
  }
  const auto x = op.dtype("x"), eps = op.dtype("epsilon");
  if (x && eps && *x != *eps) {
    report.add(op, fmt::format("x is {} but epsilon is {}", dtype_name(*x), dtype_name(*eps)));
  }
}

void attention_mask(const OpView& op, Report& report) {
  if (op.is("scaled_dot_product_attention") && op.has("attn_mask")) {
    report.add(op, "its attn_mask is ignored");
  }
}

void softmax_axis(const OpView& op, Report& report) {
  const Shape* shape = op.shape("x");
  const auto given = op.number("axis");
  if (!op.is("softmax") || shape == nullptr || !given) return;
  const auto axis = normalize_axis(static_cast<std::int64_t>(*given), shape->rank());
  if (!axis) return;
  const std::int64_t size = (*shape)[*axis];
  if (size <= 0 || (size & (size - 1)) != 0) {
    report.add(op, fmt::format("over {} elements, no power of two", size));
  }
}

void tile(const OpView& op, Report& report) {
  if (op.is("tile")) report.add(op, "may stop every later evaluation of the process");
}

// x · (mean of x² + …)^-½ in any spelling: what a norm leaves in the text is a reduction whose
// result goes through a power.
bool has_rms_norm(const FunctionView& function) {
  for (const OpView& op : function.ops()) {
    if (!op.is_any("pow", "rsqrt", "sqrt")) continue;
    const OpView* sum = function.producer(op.value("x"));
    if (sum != nullptr && sum->is_any("add", "mul")) sum = function.producer(sum->value("x"));
    if (sum != nullptr && sum->is("mul")) sum = function.producer(sum->value("x"));
    if (sum != nullptr && sum->is_any("reduce_sum", "reduce_mean", "reduce_sum_square"))
      return true;
  }
  return false;
}

void slice_norm_conv(const FunctionView& function, Report& report) {
  if (!function.contains("conv") || !has_rms_norm(function)) return;
  for (const OpView& op : function.ops()) {
    if (op.is("slice_by_index") && function.is_input(op.value("x"))) {
      report.add(op, "of an input, in a program with a norm and convolutions", Certainty::E);
    }
  }
}

void four_together(const FunctionView& function, Report& report) {
  for (const char* name : {"split", "matmul", "softmax", "tile"}) {
    if (!function.contains(name)) return;
  }
  report.add(function, "split, matmul, softmax and tile in one program");
}

void times_zero(const OpView& op, Report& report) {
  if (!op.is("mul")) return;
  for (const auto& [zero, other] : {std::pair("x", "y"), std::pair("y", "x")}) {
    const OpView* reduction = op.function().producer(op.value(other));
    if (op.number(zero) == 0.0 && reduction != nullptr &&
        reduction->name().starts_with("reduce_")) {
      report.add(op, fmt::format("{} times 0", reduction->name()));
    }
  }
}

void sqrt_fusion(const OpView& op, Report& report) {
  if (op.function().target().generation != 13 || !op.is("sqrt") || op.results().empty()) return;
  for (const OpView* reader : op.function().readers(op.results()[0])) {
    const Shape *root = op.result_shape(), *result = reader->result_shape();
    const bool spreads = root != nullptr && result != nullptr && !(*root == *result);
    if (reader->is("real_div") || (reader->is_any("mul", "add", "sub") && spreads)) {
      report.add(op, fmt::format("its result goes into {}", reader->name()));
    }
  }
}

void nothing_computed(const FunctionView& function, Report& report) {
  for (const OpView& op : function.ops()) {
    if (!moves_only(op) || op.is("identity")) return;
  }
  if (!function.ops().empty()) report.add(function, "the program computes nothing, it only moves");
}

void fixed_shapes(const FunctionView& function, Report& report) {
  for (std::size_t i = 0; i < function.function().values.size(); ++i) {
    const mil::Value value{static_cast<std::int32_t>(i)};
    const mil::ValueInfo& info = function.function().info(value);
    if (!info.type.is_tensor()) continue;
    if (!info.type.shape.is_static() && function.is_input(value)) {
      report.add(
          function, value,
          fmt::format("'{}' has the flexible shape {}", info.name, info.type.shape.to_string()));
    } else if (info.type.shape.rank() > kMaxRank) {
      report.add(function, value,
                 fmt::format("'{}' has rank {}, at most {} is possible", info.name,
                             info.type.shape.rank(), kMaxRank));
    }
  }
  for (const OpView& op : function.ops()) {
    if (op.is_any("while_loop", "cond")) report.add(op, "programs have no control flow");
  }
}

void port_type(const FunctionView& function, mil::Value value, bool input, Report& report) {
  const auto dtype = function.dtype(value);
  if (!dtype || *dtype == DType::fp16 || *dtype == DType::boolean) return;
  const std::string what = fmt::format("{} '{}' is {}", input ? "input" : "output",
                                       function.function().name_of(value), dtype_name(*dtype));
  if (*dtype == DType::fp32) {
    const Fact& fact = function.target().takes.fp32_io;
    if (fact.holds) return;
    report.add(function, value,
               fmt::format("{}, and {} refuses the cast", what, function.target().name),
               fact.certainty);
  } else if (*dtype == DType::uint8 || (*dtype == DType::int8 && input)) {
    report.add(function, value, what, Certainty::D);
  } else {
    report.add(function, value, what);
  }
}

void port_types(const FunctionView& function, Report& report) {
  for (const mil::Value value : function.function().inputs)
    port_type(function, value, true, report);
  for (const mil::Value value : function.function().outputs) {
    port_type(function, value, false, report);
  }
}

void integer_arithmetic(const OpView& op, Report& report) {
  const auto dtype = op.result_dtype();
  if (!dtype || !is_integer(*dtype)) return;
  if (op.is_any("add", "sub", "mul", "real_div", "floor_div", "maximum", "minimum", "pow", "matmul",
                "reduce_sum", "reduce_max")) {
    report.add(op, fmt::format("on {}", dtype_name(*dtype)));
  }
}

void quantized(const OpView& op, Report& report) {
  if (op.function().target().generation > 15) return;
  const auto to = op.result_dtype();
  if (op.is("constexpr_affine_dequantize") || (op.is("cast") && to && *to == DType::uint8)) {
    report.add(op, "broken on M3 Max under macOS 15, by one report");
  }
}

constexpr Rule kOpRules[] = {
    {9, "concat has constant arguments", Effect::compile, Certainty::D,
     "Two projects ban concat. The original program, ironmill and ANEForge use it everywhere, with "
     "two or more operands, a constant axis that is not negative, and interleave given. So it is "
     "allowed, and only its arguments are looked at.",
     "Count the axis from the front, and give interleave = false.",
     "maderix/ANE, ironmill, ane-guide against Orion, Espresso", OpCheck{concat}},
    {10, "reduce_mean is contested", Effect::compile, Certainty::D,
     "Said not to exist by two reports, run and measured by a third on M3. Nothing is known of it "
     "on M1 and M2.",
     "reduce_sum, and a mul with 1/N in front of it: the sum must not overflow.",
     "Espresso, hollance/neural-engine against ironmill", OpCheck{reduce_mean}},
    {11, "rsqrt, log and inverse give their epsilon", Effect::compile, Certainty::B,
     "Without epsilon they are refused; with it they compile. On M3 Max an rsqrt of a computed "
     "tensor failed when it was run. pow(x, -0.5) works everywhere it was tried.",
     "Give epsilon, or write pow(x, -0.5).", "ironmill, Orion, rustane, Espresso, field guide",
     OpCheck{epsilon}},
    {12, "pow has one constant exponent", Effect::compile, Certainty::D,
     "A constant scalar exponent is in every kernel of the original program and was measured to "
     "4e-4. One report says that pow fails on M1.",
     "Use a scalar const; on M1 try rsqrt with an epsilon.",
     "maderix/ANE, ironmill against ane-train (M1)", OpCheck{power}},
    {13, "gelu gives its mode", Effect::compile, Certainty::B,
     "Without mode it is refused, and so is a flat [1, N] with N above 16384 on M1.",
     "Give mode, or write it with tanh or erf.", "Orion, ANEForge, ane-train", OpCheck{gelu}},
    {14, "silu is known from M3 on", Effect::compile, Certainty::C,
     "It compiles and runs on M3 with an error up to 0.015. Everyone else writes x · sigmoid(x), "
     "and nothing is known of M1 and M2.",
     "Write mul(x, sigmoid(x)).", "ironmill", OpCheck{silu}},
    {15, "Operations that are refused", Effect::compile, Certainty::C,
     "neg, mod, tan, asin, acos, sinh, cosh, reduce_prod, scatter, gather with computed indices, "
     "logical_and, logical_or, logical_xor, where, casts between fp16 and int32, and all 4-bit "
     "types. sin and cos are said to work from M2 on. batch_norm and pools were refused in the "
     "form "
     "tried, though Apple's own models have them.",
     "Rewrite: mul by -1, select for where, masks as numbers.", "ironmill's matrix, ane-guide",
     OpCheck{rejected}},
    {16, "Operations that were tried", Effect::fact, Certainty::C,
     "59 to 74 operations were compiled, run and compared on M3. Of an operation that is in no "
     "such list nothing is known.",
     "Prefer operations that were tried.", "ironmill's matrix", OpCheck{untried}},
    {17, "layer_norm has constant axes and epsilon", Effect::compile, Certainty::C,
     "Both must be constants, and epsilon of the element type of x.",
     "Give both as named constants of the right type.", "ironmill, libane", OpCheck{layer_norm}},
    {18, "Attention's mask is ignored", Effect::data, Certainty::B,
     "scaled_dot_product_attention compiles and leaves attn_mask out.",
     "Write it as matmul, add the mask, softmax, matmul.",
     "maderix/ANE, Orion, ANEForge, ane-guide", OpCheck{attention_mask}},
    {19, "softmax over a power of two", Effect::compile, Certainty::D,
     "One project saw InvalidMILProgram for other sizes of axis 1. Most programs that were run "
     "have "
     "256, 512 or 1024 on the last axis, and the validators know no such rule.",
     "Pad the axis with the lowest number if it does not compile.",
     "Espresso, hollance/neural-engine against ane-guide", OpCheck{softmax_axis}},
    {20, "tile may poison the process", Effect::status, Certainty::D,
     "25 probes on M3 Max: after a program with tile every evaluation failed until exit. Another "
     "project runs chains with tile.",
     "Repeat with concat, or let broadcasting do it.", "field guide against ironmill",
     OpCheck{tile}},
    {21, "A sliced input before a norm and convolutions", Effect::compile, Certainty::C,
     "slice_by_index of an input, an RMSNorm and convolutions in one program were "
     "InvalidMILProgram. What counts as a norm is guessed here.",
     "Use slice_by_size, or two programs.", "Espresso", FunctionCheck{slice_norm_conv}},
    {22, "split, matmul, softmax and tile together", Effect::compile, Certainty::C,
     "Each compiles alone; a program with all four does not.",
     "Cut the program, or use slices for split.", "ironmill", FunctionCheck{four_together}},
    {23, "A reduction times zero", Effect::compile, Certainty::D,
     "mul(reduce_…, 0.0) failed to compile. Where this was seen is not known any more.",
     "Use a constant of zeros.", "a note whose source is lost", OpCheck{times_zero}},
    {24, "A fused loop of attention may be too large", Effect::compile, Certainty::C,
     "matmul and softmax of a whole decoding loop exceeded what one program may hold.",
     "Cut the program.", "Espresso", NotDecidable{"how large is too large was not published"}},
    {25, "sqrt fused with a division or a broadcast", Effect::data, Certainty::D,
     "Gave wrong values on M1.", "Use pow(x, -0.5) and a mul.", "ane-train (M1)",
     OpCheck{sqrt_fusion}},
    {26, "A program computes something", Effect::compile, Certainty::C,
     "Programs of nothing but reshape, slices or tile do not compile.",
     "Join it to the program before or behind.", "ironmill", FunctionCheck{nothing_computed}},
    {27, "Fixed shapes, rank at most 5, no control flow", Effect::compile, Certainty::B,
     "Unknown dimensions parse and then fail.", "Fix the shapes; join axes.", "ane-guide, ironmill",
     FunctionCheck{fixed_shapes}},
    {28, "Inputs and outputs are fp16", Effect::compile, Certainty::B,
     "fp16, fp32 and bool are taken; fp32 needs a cast inside, which M1 and M2 refuse. int8 inputs "
     "are contested, int8 outputs refused.",
     "Take and give fp16; convert on the host.", "ironmill, maderix/ANE PR 6",
     FunctionCheck{port_types}},
    {29, "No integer arithmetic", Effect::compile, Certainty::D,
     "8-bit integers are a form of storage. Quantized weights and activations doubled the rate on "
     "M4 and gained nothing on M3 Pro.",
     "Compute in fp16.", "ironmill against maderix/ANE", OpCheck{integer_arithmetic}},
    {30, "Quantized constants on M3", Effect::compile, Certainty::D,
     "constexpr_affine_dequantize and casts to uint8 were broken on M3 Max under macOS 15 and work "
     "on M4.",
     "Keep weights in fp16 there.", "Espresso against maderix/ANE, ANEForge", OpCheck{quantized}},
};

}  // namespace

Rules op_rules() { return kOpRules; }

}  // namespace anemone::engine::ane::lint

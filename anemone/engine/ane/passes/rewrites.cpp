// The table of rewrites, and those of element-wise operations, reductions and slices.
#include "anemone/engine/ane/passes/rewrites.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "anemone/base/element.h"

namespace anemone::engine::ane {
namespace {

using mil::OpKind;

constexpr std::array kRewrites = {
    Rewrite{14, OpKind::silu, [](const Takes& takes) { return takes.silu.holds; }, rewrite_silu,
            "as x * sigmoid(x)"},
    Rewrite{11, OpKind::rsqrt, [](const Takes& takes) { return takes.rsqrt.holds; }, rewrite_rsqrt,
            "as pow(x + epsilon, -0.5)"},
    Rewrite{10, OpKind::reduce_mean, [](const Takes& takes) { return takes.reduce_mean.holds; },
            rewrite_reduce_mean, "as a scaled reduce_sum"},
    Rewrite{6, OpKind::conv, nullptr, rewrite_conv_bias, "its bias is added behind it"},
    Rewrite{21, OpKind::slice_by_index, nullptr, rewrite_input_slice, "as slice_by_size"},
    Rewrite{56, OpKind::matmul, [](const Takes& takes) { return takes.constant_matmul.holds; },
            rewrite_constant_matmul, "with a constant operand, as a convolution"},
    Rewrite{38, OpKind::matmul, [](const Takes& takes) { return takes.runtime_matmul.holds; },
            rewrite_matmul_rank, "of operands of rank 3"},
};

// Rule 19, contested.
void note_softmax(const LegalContext& context, const mil::Operation& op) {
  const mil::Type& type = context.function.type(op.results.front());
  const mil::OpContext given(mil::op_def(op.kind), context.function, op);
  const std::int64_t size = type.shape[given.axis(1, type.shape.rank())];
  if ((size & (size - 1)) == 0) return;
  context.note(19, op,
               fmt::format("its axis has {} elements, no power of two: one compiler "
                           "refused such an axis",
                           size));
}

}  // namespace

mil::Constant reshaped(const mil::Constant& constant, const Shape& shape) {
  const mil::Type type = mil::Type::tensor(constant.type().dtype, shape);
  if (const mil::WeightRef* ref = constant.weight()) return {type, *ref};
  if (const mil::BlobRef* ref = constant.blob()) return {type, *ref};
  const auto bytes = constant.bytes();
  return {type, std::vector<std::byte>(bytes.begin(), bytes.end())};
}

std::span<const Rewrite> rewrites() { return kRewrites; }

std::string RewriteContext::name(std::string_view suffix) const {
  return fmt::format("{}_{}", editor.function().name_of(op.results.front()), suffix);
}

void rewrite_operations(LegalContext& context) {
  FunctionEditor editor(context.function);
  for (mil::Operation& op : editor.take_operations()) {
    const auto rewrite = std::find_if(kRewrites.begin(), kRewrites.end(), [&](const Rewrite& row) {
      const bool taken = row.is_taken != nullptr && row.is_taken(context.target.takes);
      return row.kind == op.kind && !taken && row.rewrite({context, editor, op});
    });
    if (rewrite != kRewrites.end()) {
      context.note(rewrite->rule, op, std::string(rewrite->note));
      continue;
    }
    if (op.kind == OpKind::softmax) note_softmax(context, op);
    editor.keep(std::move(op));
  }
}

bool rewrite_silu(const RewriteContext& context) {
  const mil::Value x = context.argument("x");
  const mil::Value sigmoid =
      context.editor.add(OpKind::sigmoid, {{"x", x}}, context.name("sigmoid"));
  context.editor.define(context.result(), OpKind::mul, {{"x", x}, {"y", sigmoid}});
  return true;
}

bool rewrite_rsqrt(const RewriteContext& context) {
  mil::Value x = context.argument("x");
  const DType dtype = context.type("x").dtype;
  const mil::OpContext given(mil::op_def(OpKind::rsqrt), context.function(), context.op);
  const double epsilon = given.number(given.def().find_param("epsilon"));
  FunctionEditor& editor = context.editor;
  if (round_to(dtype, epsilon) != 0) {
    const mil::Value term = editor.number(context.name("epsilon"), epsilon, x);
    x = editor.add(OpKind::add, {{"x", x}, {"y", term}}, context.name("safe"));
  }
  const mil::Value exponent = editor.number(context.name("exponent"), -0.5, x);
  editor.define(context.result(), OpKind::pow, {{"x", x}, {"y", exponent}});
  return true;
}

// The mean of N as sum(x * 2^-k) * (2^k / N) with 2^k near sqrt(N): the plain sum of N squares
// overflows fp16 long before their mean does, and dividing by N first would lose the small ones.
// Scaling by a power of two is exact.
bool rewrite_reduce_mean(const RewriteContext& context) {
  const mil::Value x = context.argument("x");
  if (context.type("x").shape.elements() == 0) return false;
  const auto count =
      static_cast<double>(context.type("x").shape.elements()) /
      static_cast<double>(context.function().type(context.result()).shape.elements());
  double scale = 1;
  while (4 * scale * scale <= count) scale *= 2;
  FunctionEditor& editor = context.editor;
  mil::Value small = x;
  if (scale > 1) {
    const mil::Value factor = editor.number(context.name("scale"), 1 / scale, x);
    small = editor.add(OpKind::mul, {{"x", x}, {"y", factor}}, context.name("scaled"));
  }
  mil::Operation sum = context.op;
  sum.kind = OpKind::reduce_sum;
  sum.arguments.front() = {small};
  const mil::Value total = context.function().add_value(
      editor.unique_name(context.name("sum")), context.function().type(context.result()), -1, 0);
  sum.results = {total};
  set_name_attribute(sum, context.function().name_of(total));
  editor.keep(std::move(sum));
  const mil::Value rest = editor.number(context.name("share"), scale / count, x);
  editor.define(context.result(), OpKind::mul, {{"x", total}, {"y", rest}});
  return true;
}

// conv has no bias: what is [OC] is added as [1, OC, 1, …].
bool rewrite_conv_bias(const RewriteContext& context) {
  const mil::Value bias = context.argument("bias");
  if (!bias.valid()) return false;
  FunctionEditor& editor = context.editor;
  mil::Function& function = context.function();
  Shape shape = function.type(context.result()).shape;
  for (int axis = 0; axis < shape.rank(); ++axis) shape[axis] = axis == 1 ? shape[axis] : 1;
  mil::Operation conv = context.op;
  conv.arguments[static_cast<std::size_t>(mil::op_def(OpKind::conv).find_param("bias"))].clear();
  const mil::Value product = function.add_value(editor.unique_name(context.name("product")),
                                                function.type(context.result()), -1, 0);
  conv.results = {product};
  set_name_attribute(conv, function.name_of(product));
  editor.keep(std::move(conv));
  mil::Value term;
  if (const mil::Constant* constant = function.constant(bias)) {
    term = editor.constant(context.name("bias"), reshaped(*constant, shape));
  } else {
    const mil::Value wide =
        editor.constant(context.name("bias_shape"), mil::Constant::int32s(shape.dims()));
    term = editor.add(OpKind::reshape, {{"x", bias}, {"shape", wide}}, context.name("bias"));
  }
  editor.define(context.result(), OpKind::add, {{"x", product}, {"y", term}});
  return true;
}

// A slice of an input with steps of 1.
bool rewrite_input_slice(const RewriteContext& context) {
  const mil::Function& function = context.function();
  if (function.info(context.argument("x")).op >= 0) return false;
  const mil::OpContext given(mil::op_def(OpKind::slice_by_index), function, context.op);
  const auto list = [&](const char* param, std::int64_t fallback) {
    return given.integers_or(given.def().find_param(param), context.type("x").shape.rank(),
                             fallback);
  };
  const auto is_set = [](std::int64_t flag) { return flag != 0; };
  const auto steps = list("stride", 1), squeezed = list("squeeze_mask", 0);
  if (std::any_of(squeezed.begin(), squeezed.end(), is_set) ||
      std::any_of(steps.begin(), steps.end(), [](std::int64_t step) { return step != 1; }))
    return false;
  std::vector<std::int64_t> begin = list("begin", 0);
  const auto from_start = list("begin_mask", 0);
  for (std::size_t i = 0; i < begin.size(); ++i) {
    const std::int64_t dim = context.type("x").shape[static_cast<int>(i)];
    if (begin[i] < 0) begin[i] += dim;
    begin[i] = is_set(from_start[i]) ? 0 : std::clamp<std::int64_t>(begin[i], 0, dim);
  }
  FunctionEditor& editor = context.editor;
  const Shape size = function.type(context.result()).shape;
  const mil::Value first = editor.constant(context.name("begin"), mil::Constant::int32s(begin));
  const mil::Value count =
      editor.constant(context.name("size"), mil::Constant::int32s(size.dims()));
  editor.define(context.result(), OpKind::slice_by_size,
                {{"x", context.argument("x")}, {"begin", first}, {"size", count}});
  return true;
}

}  // namespace anemone::engine::ane

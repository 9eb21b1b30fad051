// What no rewrite can help. Only rules that are not contested are errors here; the others are the
// business of lint.
#include <fmt/format.h>

#include "anemone/engine/ane/passes/function_editor.h"
#include "anemone/engine/ane/passes/legal_pass.h"

namespace anemone::engine::ane {
namespace {

// Channels, height and width are the last three axes, as far as there are so many.
void check_port(const LegalContext& context, mil::Value port, const char* side) {
  const mil::Type& type = context.function.type(port);
  const std::string what =
      fmt::format("{} {} is {}", side, context.function.name_of(port), type.to_string());
  if (!type.is_tensor() || !type.shape.is_static())
    context.reject(27, port, what, "a tensor of a fixed shape");
  if (type.dtype == DType::fp32) {
    context.reject(28, port, what,
                   "fp16, or an fp32 input (output) that is cast to (from) fp16 and used for "
                   "nothing else");
  }
  if (type.dtype != DType::fp16 && type.dtype != DType::boolean && type.dtype != DType::int8 &&
      type.dtype != DType::uint8)
    context.reject(28, port, what, "fp16 or bool");
  const int rank = type.shape.rank();
  if (rank > kMaxRank) context.reject(27, port, what, fmt::format("rank {} or less", kMaxRank));
  const AxisLimits& limits = context.target.limits;
  const std::int64_t most[] = {limits.width, limits.height, limits.channels};
  const char* const names[] = {"width", "height", "channels"};
  for (int i = 0; i < 3 && i < rank; ++i) {
    if (type.shape[rank - 1 - i] <= most[i]) continue;
    context.reject(31, port, what, fmt::format("a {} of at most {}", names[i], most[i]));
  }
}

void check_types(const LegalContext& context, const mil::Operation& op) {
  for (const mil::Value result : op.results) {
    const mil::Type& type = context.function.type(result);
    if (!type.is_tensor() || !type.shape.is_static())
      context.reject(27, op, "its result is " + type.to_string(), "a tensor of a fixed shape");
    if (type.shape.rank() > kMaxRank) {
      context.reject(27, op, "its result is " + type.to_string(),
                     fmt::format("rank {} or less", kMaxRank));
    }
    if (type.dtype == DType::fp32) {
      context.reject(
          28, op, "it computes in fp32, the Neural Engine in fp16",
          "a program in fp16 (--precision fp16), or fp32 only at its inputs and outputs");
    }
  }
  if (op.kind != mil::OpKind::cast) return;
  const DType from = context.function.type(argument(op, "x")).dtype;
  const DType to = context.function.type(op.results.front()).dtype;
  if (from == DType::int32 || to == DType::int32) {
    context.reject(15, op, fmt::format("a cast from {} to {}", dtype_name(from), dtype_name(to)),
                   "fp16 throughout: the conversion is refused");
  }
}

void check_conv(const LegalContext& context, const mil::Operation& op) {
  for (const char* param : {"weight", "bias"}) {
    const mil::Value value = argument(op, param);
    if (!value.valid() || context.function.constant(value) != nullptr) continue;
    context.reject(35, op, fmt::format("its {} is computed: it is ignored, or crashes", param),
                   "a constant, or matmul (partition dynamic)");
  }
}

}  // namespace

void check_function(const LegalContext& context) {
  const mil::Function& function = context.function;
  for (const mil::Value input : function.inputs) check_port(context, input, "input");
  for (const mil::Operation& op : function.ops) {
    if (op.kind == mil::OpKind::const_) continue;
    check_types(context, op);
    if (op.kind == mil::OpKind::conv) check_conv(context, op);
  }
  for (const mil::Value output : function.outputs) {
    check_port(context, output, "output");
    if (function.constant(output) == nullptr) continue;
    context.reject(7, output, fmt::format("output {} is a constant", function.name_of(output)),
                   "outputs that are computed");
  }
}

}  // namespace anemone::engine::ane

// Matrix products. With a constant operand as a 1x1 convolution (rule 56): what is constant becomes
// the weight [Q, K, 1, 1], what is computed the channel-first data [B, K, 1, P]. With two computed
// operands of rank 3 (rule 38).
#include <cstring>
#include <optional>
#include <utility>

#include "anemone/engine/ane/passes/rewrites.h"
#include "anemone/mil/verifier.h"

namespace anemone::engine::ane {
namespace {

using mil::Constant;
using mil::OpKind;

struct Product {
  bool constant_first = false;       // it is x: the result is [Q, P], else [P, Q]
  bool constant_transposed = false;  // it is [K, Q]
  bool data_by_rows = false;         // the data is [P, K]
  mil::Value constant, data;
  std::int64_t batch = 1, sum = 1, outputs = 1, positions = 1;
};

std::int64_t elements(const Shape& shape, int from, int to) {
  std::int64_t count = 1;
  for (int axis = from; axis < to; ++axis) count *= shape[axis];
  return count;
}

// Nothing where the operands do not have the form: two matrices, the constant without a batch.
std::optional<Product> product_of(const RewriteContext& context) {
  const mil::Function& function = context.function();
  const mil::OpContext given(mil::op_def(OpKind::matmul), function, context.op);
  const bool x_transposed = given.boolean(2), y_transposed = given.boolean(3);
  Product p;
  p.constant_first = function.constant(context.argument("x")) != nullptr;
  p.constant = context.argument(p.constant_first ? "x" : "y");
  p.data = context.argument(p.constant_first ? "y" : "x");
  if (function.constant(p.constant) == nullptr || function.constant(p.data) != nullptr) return {};
  p.constant_transposed = p.constant_first ? x_transposed : !y_transposed;
  p.data_by_rows = p.constant_first ? y_transposed : !x_transposed;
  const Shape &weight = function.type(p.constant).shape, &data = function.type(p.data).shape;
  const int last = weight.rank() - 1, rows = data.rank() - 2;
  if (last < 1 || rows < 0 || elements(weight, 0, last - 1) != 1 || weight.rank() > data.rank())
    return {};
  p.batch = elements(data, 0, rows);
  p.sum = weight[p.constant_transposed ? last - 1 : last];
  p.outputs = weight[p.constant_transposed ? last : last - 1];
  p.positions = data[p.data_by_rows ? rows : rows + 1];
  return p;
}

Constant transposed_bytes(std::span<const std::byte> from, DType dtype, std::int64_t rows,
                          std::int64_t columns) {
  const std::size_t size = dtype_size(dtype);
  std::vector<std::byte> to(from.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      std::memcpy(to.data() + static_cast<std::size_t>(c * rows + r) * size,
                  from.data() + static_cast<std::size_t>(r * columns + c) * size, size);
    }
  }
  return {mil::Type::tensor(dtype, {columns, rows, 1, 1}), std::move(to)};
}

// The constant as [Q, K, 1, 1]; nothing where it lies in a file that cannot be read.
std::optional<Constant> weight_of(const RewriteContext& context, const Product& p) {
  const Constant& given = *context.function().constant(p.constant);
  const Shape shape = {p.outputs, p.sum, 1, 1};
  if (!p.constant_transposed) return reshaped(given, shape);
  if (const mil::WeightRef* ref = given.weight()) {
    return Constant(mil::Type::tensor(given.type().dtype, shape),
                    mil::WeightRef{ref->name, !ref->transposed});
  }
  mil::ConstantSource inline_only;
  mil::ConstantSource* source = context.legal.options.constants;
  if (source == nullptr && !given.has_bytes()) return {};
  std::vector<std::byte> scratch;
  const auto bytes = (source != nullptr ? *source : inline_only).bytes(given, scratch);
  return transposed_bytes(bytes, given.type().dtype, p.sum, p.outputs);
}

mil::Value reshape(const RewriteContext& context, mil::Value x, const Shape& shape,
                   const char* name) {
  const mil::Value to =
      context.editor.constant(context.name("shape"), mil::Constant::int32s(shape.dims()));
  return context.editor.add(OpKind::reshape, {{"x", x}, {"shape", to}}, context.name(name));
}

// [B, M, 1, N] to [B, N, 1, M].
mil::Value swap_sides(const RewriteContext& context, mil::Value x, const char* name) {
  const std::vector<std::int64_t> order = {0, 3, 2, 1};
  const mil::Value perm =
      context.editor.constant(context.name("perm"), mil::Constant::int32s(order));
  return context.editor.add(OpKind::transpose, {{"x", x}, {"perm", perm}}, context.name(name));
}

}  // namespace

bool rewrite_constant_matmul(const RewriteContext& context) {
  const std::optional<Product> product = product_of(context);
  if (!product.has_value()) return false;
  const Product& p = *product;
  std::optional<Constant> weight = weight_of(context, p);
  if (!weight.has_value()) {
    context.legal.note(56, context.op, "has a constant operand in a file that was not given");
    return false;
  }
  FunctionEditor& editor = context.editor;
  mil::Value data;
  if (p.data_by_rows) {
    data = reshape(context, p.data, {p.batch, p.positions, 1, p.sum}, "rows");
    data = swap_sides(context, data, "channels");
  } else {
    data = reshape(context, p.data, {p.batch, p.sum, 1, p.positions}, "channels");
  }
  const mil::Value filter = editor.constant(context.name("weight"), std::move(*weight));
  mil::Value out =
      editor.add(OpKind::conv, {{"x", data}, {"weight", filter}}, context.name("conv"));
  if (!p.constant_first) out = swap_sides(context, out, "back");
  const Shape shape = context.function().type(context.result()).shape;
  const mil::Value to = editor.constant(context.name("shape"), mil::Constant::int32s(shape.dims()));
  editor.define(context.result(), OpKind::reshape, {{"x", out}, {"shape", to}});
  return true;
}

// Leading dimensions, the same of both operands, become one.
bool rewrite_matmul_rank(const RewriteContext& context) {
  const Shape x = context.type("x").shape, y = context.type("y").shape;
  const Shape result = context.function().type(context.result()).shape;
  if (x.rank() <= 3 || x.rank() != y.rank()) return false;
  for (int axis = 0; axis < x.rank() - 2; ++axis)
    if (x[axis] != y[axis]) return false;
  const auto matrices = [&](const char* param, const Shape& shape) {
    const int rows = shape.rank() - 2;
    return reshape(context, context.argument(param),
                   {elements(shape, 0, rows), shape[rows], shape[rows + 1]}, param);
  };
  FunctionEditor& editor = context.editor;
  const mil::Value left = matrices("x", x), right = matrices("y", y);
  mil::Operation product = context.op;
  product.arguments[0] = {left};
  product.arguments[1] = {right};
  const mil::Type type = mil::infer_types(context.function(), product).front();
  product.results = {
      context.function().add_value(editor.unique_name(context.name("matrices")), type, -1, 0)};
  const mil::Value out = product.results.front();
  set_name_attribute(product, context.function().name_of(out));
  editor.keep(std::move(product));
  const mil::Value to =
      editor.constant(context.name("shape"), mil::Constant::int32s(result.dims()));
  editor.define(context.result(), OpKind::reshape, {{"x", out}, {"shape", to}});
  return true;
}

}  // namespace anemone::engine::ane

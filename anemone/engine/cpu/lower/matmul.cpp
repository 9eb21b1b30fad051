// matmul: batched products with broadcasting, on whatever strides the operands have.
#include <algorithm>

#include "anemone/base/dtype.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/engine/cpu/lower/product.h"

namespace anemone::cpu {
namespace {

// The last two dimensions are the matrix, the others the batch.
ProductOperand matrices(const LowerContext& context, mil::Value value, const Layout& layout,
                        bool transposed, const Shape& batch) {
  const int rank = layout.shape.rank();
  ProductOperand operand;
  operand.value = value;
  operand.dtype = context.dtype(value);
  operand.offset = layout.offset;
  operand.row_stride = layout.strides[static_cast<std::size_t>(rank - 2)];
  operand.col_stride = layout.strides[static_cast<std::size_t>(rank - 1)];
  if (transposed) std::swap(operand.row_stride, operand.col_stride);
  Layout leading{Shape(layout.shape.dims().first(static_cast<std::size_t>(rank - 2))),
                 layout.strides, layout.offset};
  operand.batch = broadcast_strides(leading, batch);
  return operand;
}

// A vector x is a row, a vector y a column; in the result the dimension of 1 is missing.
Layout with_dimension(const Layout& layout, int axis) {
  Shape shape = layout.shape;
  shape.insert(axis, 1);
  return *reshaped(layout, shape);
}

compute::Triangle triangle_of(const Group& group, mil::Value value, bool transposed) {
  const auto& marked = group.lower_triangular;
  if (std::find(marked.begin(), marked.end(), value) == marked.end())
    return compute::Triangle::full;
  return transposed ? compute::Triangle::upper : compute::Triangle::lower;
}

std::string lower_matmul(LowerContext& context, Step& step) {
  const mil::OpContext op = context.op_context();
  const mil::Value x = context.argument("x"), y = context.argument("y");
  const mil::Value result = context.group().outputs.front();
  if (!is_product_type(context.dtype(x)))
    return std::string(dtype_name(context.dtype(x))) + " has no fast product";

  const bool transpose_x = op.boolean(op.def().find_param("transpose_x"));
  const bool transpose_y = op.boolean(op.def().find_param("transpose_y"));
  Layout in_x = context.layout(x), in_y = context.layout(y), out = context.layout(result);
  const bool vector_x = in_x.shape.rank() == 1, vector_y = in_y.shape.rank() == 1;
  const mil::Value residual = context.group().residual;
  Layout added = out;
  if (residual.valid()) {
    added.offset = context.layout(residual).offset;
    added.strides = broadcast_strides(context.layout(residual), out.shape);
  }
  if (vector_x) in_x = with_dimension(in_x, 0);
  if (vector_y) in_y = with_dimension(in_y, 1);
  for (Layout* layout : {&out, &added}) {
    if (vector_y) *layout = with_dimension(*layout, layout->shape.rank());
    if (vector_x) *layout = with_dimension(*layout, layout->shape.rank() - 1);
  }

  const int rank = out.shape.rank();
  Product product;
  product.batch = Shape(out.shape.dims().first(static_cast<std::size_t>(rank - 2)));
  product.m = out.shape[rank - 2];
  product.n = out.shape[rank - 1];
  product.k = in_x.shape[in_x.shape.rank() - (transpose_x ? 2 : 1)];
  product.a = matrices(context, x, in_x, transpose_x, product.batch);
  product.b = matrices(context, y, in_y, transpose_y, product.batch);
  product.c = matrices(context, result, out, false, product.batch);
  product.alpha = context.group().alpha;
  if (residual.valid()) product.residual = matrices(context, residual, added, false, product.batch);
  product.a.triangle = triangle_of(context.group(), x, transpose_x);
  product.b.triangle = triangle_of(context.group(), y, transpose_y);
  product.c.triangle = triangle_of(context.group(), result, false);
  lower_product(context, product, step);
  return {};
}

constexpr Alternative kMatmulList[] = {{"matmul", lower_matmul}};

}  // namespace

const std::span<const Alternative> kMatmulAlternatives = kMatmulList;

bool matmul_folds(const mil::OpContext& op) { return is_product_type(op.dtype(0)); }

}  // namespace anemone::cpu

// Which operand is the matrix, which its lanes; constants packed ahead.
#include "anemone/engine/cpu/lower/vector_product.h"

#include <fmt/format.h>

#include "anemone/compute/gemv.h"

namespace anemone::cpu {
namespace {

using compute::GemvSpec;
using Stride = std::ptrdiff_t BatchDims::Dim::*;

// So many vectors of a batch that share a matrix are as well a matrix of their own.
constexpr std::int64_t kMostSharing = 8;

// The product with its operands by their parts in it: with one column the left operand is the
// matrix, with one row the right one.
struct Roles {
  const ProductOperand *matrix, *vector;
  std::int64_t lanes = 0;
  std::ptrdiff_t lane_stride = 0, depth_stride = 0, x_stride = 0, y_stride = 0, residual_stride = 0;
  Stride matrix_batch, vector_batch;
};

Roles roles_of(const Product& product) {
  const ProductOperand &a = product.a, &b = product.b, &c = product.c, &r = product.residual;
  if (product.n == 1)
    return {&a,           &b,           product.m,    a.row_stride,       a.col_stride,
            b.row_stride, c.row_stride, r.row_stride, &BatchDims::Dim::a, &BatchDims::Dim::b};
  return {&b,           &a,           product.n,    b.col_stride,       b.row_stride,
          a.col_stride, c.col_stride, r.col_stride, &BatchDims::Dim::b, &BatchDims::Dim::a};
}

struct VectorProductCall {
  compute::GemvPlan plan;
  Operand matrix, x, y, residual;
  const compute::PackedLanes* packed = nullptr;

  void run(const Frame& frame) const {
    compute::GemvArgs args;
    args.packed = packed;
    if (packed == nullptr) args.matrix = frame.at(matrix);
    args.x = frame.at(x);
    args.y = frame.at(y);
    if (plan.spec.has_residual) args.residual = frame.at(residual);
    compute::run(frame.pool, plan, frame.workspace, args);
  }
};

GemvSpec spec_of(const LowerContext& context, const Product& product, const Roles& roles,
                 const BatchDims& batch) {
  GemvSpec spec;
  spec.lanes = roles.lanes;
  spec.depth = product.k;
  spec.matrix = {roles.matrix->dtype, roles.lane_stride, roles.depth_stride};
  spec.x = {roles.vector->dtype, roles.x_stride};
  spec.y = {product.c.dtype, roles.y_stride};
  spec.has_residual = product.residual.valid();
  if (spec.has_residual) spec.residual = {product.residual.dtype, roles.residual_stride};
  spec.alpha = static_cast<float>(product.alpha);
  spec.precision = context.machine().products;
  for (const BatchDims::Dim& dim : batch.dims) {
    spec.batch[static_cast<std::size_t>(spec.batch_dims++)] = {
        dim.size, dim.*roles.matrix_batch, dim.*roles.vector_batch, dim.c, dim.residual};
  }
  return spec;
}

std::string refusal_of(const Product& product, const Roles& roles, const BatchDims& batch) {
  for (const ProductOperand* operand : {&product.a, &product.b, &product.c}) {
    if (operand->triangle != compute::Triangle::full) return "half of an operand is zero";
  }
  if (batch.dims.size() > static_cast<std::size_t>(GemvSpec::kMaxBatchDims))
    return "a batch in too many directions";
  for (const BatchDims::Dim& dim : batch.dims) {
    if (dim.*roles.matrix_batch == 0 && dim.size > kMostSharing)
      return fmt::format("{} vectors share the matrix", dim.size);
  }
  return {};
}

std::string describe(const compute::GemvPlan& plan) {
  const GemvSpec& spec = plan.spec;
  return fmt::format("gemv {} {} {}x{}{}{}{}{}", plan.kernel->name, dtype_name(plan.storage),
                     spec.lanes, spec.depth,
                     plan.items == 1 ? "" : fmt::format(" batch={}", plan.items),
                     spec.matrix.constant ? ", packed weight" : "",
                     spec.alpha == 1 ? "" : fmt::format(", times {}", spec.alpha),
                     spec.has_residual ? ", plus residual" : "");
}

}  // namespace

bool is_vector_product(const Product& product) { return product.m == 1 || product.n == 1; }

std::string lower_vector_product(LowerContext& context, const Product& product,
                                 const BatchDims& batch, Step& step) {
  const Roles roles = roles_of(product);
  std::string refusal = refusal_of(product, roles, batch);
  if (!refusal.empty()) return refusal;
  GemvSpec spec = spec_of(context, product, roles, batch);
  const mil::Value constant = packable(context, *roles.matrix, batch, roles.matrix_batch);
  spec.matrix.constant = constant.valid();
  refusal = compute::gemv_refusal(spec);
  if (!refusal.empty()) return refusal;

  VectorProductCall call;
  call.plan = compute::plan_gemv(spec, context.features());
  if (constant.valid()) {
    call.packed = context.constants().packed(constant, roles.matrix->offset, roles.lane_stride,
                                             roles.depth_stride, call.plan);
    step.bytes += static_cast<double>(call.packed->bytes());
  } else {
    call.matrix = read_matrix(context, *roles.matrix, step);
  }
  call.x = read_matrix(context, *roles.vector, step);
  call.y = context.write(product.c.value, step);
  call.y.offset = product.c.offset * static_cast<std::ptrdiff_t>(dtype_size(product.c.dtype));
  if (spec.has_residual) {
    call.residual = read_matrix(context, product.residual, step);
    context.allow_in_place(product.residual.value, product.c.value, step);
  }
  step.workspace_bytes = call.plan.workspace_bytes();
  step.flops = call.plan.flops();
  step.implementation = describe(call.plan);
  step.call = Call(std::move(call));
  return {};
}

}  // namespace anemone::cpu

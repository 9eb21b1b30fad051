// Products with batches: what strides can say is one batched call, the rest a list of places.
#include "anemone/engine/cpu/lower/product.h"

#include <fmt/format.h>

#include "anemone/base/error.h"
#include "anemone/engine/cpu/lower/vector_product.h"

namespace anemone::cpu {
namespace {

using compute::GemmOperand;
using compute::GemmSide;

// The last dimension is the batch of a call.
BatchDims merged_batch(const Product& product) {
  BatchDims batch;
  for (int axis = 0; axis < product.batch.rank(); ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    const BatchDims::Dim dim{product.batch[axis], product.a.batch[i], product.b.batch[i],
                             product.c.batch[i], product.residual.batch[i]};
    if (dim.size == 1) continue;
    if (!batch.dims.empty()) {
      BatchDims::Dim& outer = batch.dims.back();
      if (outer.a == dim.a * dim.size && outer.b == dim.b * dim.size &&
          outer.c == dim.c * dim.size && outer.residual == dim.residual * dim.size) {
        outer = {outer.size * dim.size, dim.a, dim.b, dim.c, dim.residual};
        continue;
      }
    }
    batch.dims.push_back(dim);
  }
  return batch;
}

// A batch that shares B and whose matrices lie one below the other is one tall matrix.
void stack_rows(Product& product, BatchDims& batch) {
  if (batch.dims.empty()) return;
  const BatchDims::Dim& last = batch.dims.back();
  const auto stacks = [&](const ProductOperand& operand, std::ptrdiff_t stride) {
    return stride == operand.row_stride * product.m;
  };
  const auto full = [](const ProductOperand& operand) {
    return operand.triangle == compute::Triangle::full;
  };
  if (!full(product.a) || !full(product.b) || !full(product.c)) return;
  if (last.b != 0 || !stacks(product.a, last.a) || !stacks(product.c, last.c)) return;
  if (product.residual.valid() && !stacks(product.residual, last.residual)) return;
  product.m *= last.size;
  batch.dims.pop_back();
}

GemmOperand gemm_operand(const ProductOperand& operand, std::ptrdiff_t batch_stride) {
  GemmOperand result;
  result.type = operand.dtype;
  result.row_stride = operand.row_stride;
  result.col_stride = operand.col_stride;
  result.batch_stride = batch_stride;
  result.triangle = operand.triangle;
  return result;
}

std::vector<ProductCall::Offsets> places_of(const Product& product, const BatchDims& batch) {
  const auto size = [](const ProductOperand& operand) {
    return static_cast<std::ptrdiff_t>(dtype_size(operand.dtype));
  };
  std::vector<ProductCall::Offsets> places = {{0, 0, 0, 0}};
  for (std::size_t i = 0; i + 1 < batch.dims.size(); ++i) {
    const BatchDims::Dim& dim = batch.dims[i];
    std::vector<ProductCall::Offsets> next;
    next.reserve(places.size() * static_cast<std::size_t>(dim.size));
    for (const ProductCall::Offsets& at : places) {
      for (std::int64_t j = 0; j < dim.size; ++j) {
        next.push_back({at.a + j * dim.a * size(product.a), at.b + j * dim.b * size(product.b),
                        at.c + j * dim.c * size(product.c),
                        at.residual + j * dim.residual * size(product.residual)});
      }
    }
    places = std::move(next);
  }
  return places;
}

std::string triangles(const compute::GemmSpec& spec) {
  const auto is_part = [](const GemmOperand& operand) {
    return operand.triangle != compute::Triangle::full;
  };
  std::string text;
  if (is_part(spec.a)) text += ", half of the left operand";
  if (is_part(spec.b)) text += ", half of the right operand";
  if (is_part(spec.c)) text += ", half of the result";
  return text;
}

void describe(const compute::GemmPlan& plan, std::size_t places, bool packed, bool residual,
              Step& step) {
  const compute::GemmSpec& spec = plan.spec;
  const std::int64_t batch = spec.batch * static_cast<std::int64_t>(places);
  step.implementation =
      fmt::format("gemm {} m={} n={} k={}{}{}{}{}{}{}", plan.kernel_name(), spec.m, spec.n, spec.k,
                  batch == 1 ? "" : fmt::format(" batch={}", batch),
                  packed ? ", packed weight" : "", plan.transposed ? ", written transposed" : "",
                  spec.alpha == 1 ? "" : fmt::format(", times {}", spec.alpha),
                  residual ? ", plus residual" : "", triangles(spec));
  step.flops = plan.flops() * static_cast<double>(places);
  if (!triangles(spec).empty()) step.skipped_flops = step.flops / 2;
}

}  // namespace

mil::Value packable(const LowerContext& context, const ProductOperand& operand,
                    const BatchDims& batch, std::ptrdiff_t BatchDims::Dim::*stride) {
  for (const BatchDims::Dim& dim : batch.dims) {
    if (dim.*stride != 0) return {};
  }
  return context.constant_behind(operand.value);
}

Operand read_matrix(const LowerContext& context, const ProductOperand& operand, Step& step) {
  Operand result = context.read(operand.value, step);
  result.offset = operand.offset * static_cast<std::ptrdiff_t>(dtype_size(operand.dtype));
  return result;
}

void ProductCall::run(const Frame& frame) const {
  compute::GemmArgs args;
  args.packed_a = packed_a;
  args.packed_b = packed_b;
  for (const Offsets& at : places) {
    if (packed_a == nullptr) args.a = frame.at(a) + at.a;
    if (packed_b == nullptr) args.b = frame.at(b) + at.b;
    args.c = frame.at(c) + at.c;
    if (has_residual) args.residual = frame.at(residual) + at.residual;
    compute::run(frame.pool, plan, frame.workspace, args);
  }
}

void lower_product(LowerContext& context, const Product& asked, Step& step) {
  Product product = asked;
  BatchDims batch = merged_batch(product);
  if (is_vector_product(product)) {
    const std::string refusal = lower_vector_product(context, product, batch, step);
    if (refusal.empty()) return;
    step.refusals.push_back("gemv: " + refusal);
  }
  stack_rows(product, batch);

  compute::GemmSpec spec;
  const BatchDims::Dim inner =
      batch.dims.empty() ? BatchDims::Dim{1, 0, 0, 0, 0} : batch.dims.back();
  spec.batch = inner.size;
  spec.m = product.m;
  spec.n = product.n;
  spec.k = product.k;
  spec.a = gemm_operand(product.a, inner.a);
  spec.b = gemm_operand(product.b, inner.b);
  spec.c = gemm_operand(product.c, inner.c);
  spec.alpha = static_cast<float>(product.alpha);
  spec.has_residual = product.residual.valid();
  if (spec.has_residual) spec.residual = gemm_operand(product.residual, inner.residual);
  spec.precision = context.machine().products;

  const mil::Value constant_a = packable(context, product.a, batch, &BatchDims::Dim::a);
  const mil::Value constant_b =
      constant_a.valid() ? mil::Value{} : packable(context, product.b, batch, &BatchDims::Dim::b);
  if (constant_a.valid()) spec.a = GemmOperand::constant_of(product.a.dtype);
  if (constant_b.valid()) spec.b = GemmOperand::constant_of(product.b.dtype);

  ProductCall call;
  call.plan = compute::plan_gemm(spec, context.features());
  if (constant_a.valid()) {
    call.packed_a = context.constants().packed(constant_a, product.a.offset, product.a.row_stride,
                                               product.a.col_stride, call.plan, GemmSide::a);
  } else {
    call.a = read_matrix(context, product.a, step);
  }
  if (constant_b.valid()) {
    call.packed_b = context.constants().packed(constant_b, product.b.offset, product.b.row_stride,
                                               product.b.col_stride, call.plan, GemmSide::b);
  } else {
    call.b = read_matrix(context, product.b, step);
  }
  call.c = context.write(product.c.value, step);
  call.c.offset = product.c.offset * static_cast<std::ptrdiff_t>(dtype_size(product.c.dtype));
  if (spec.has_residual) {
    call.has_residual = true;
    call.residual = read_matrix(context, product.residual, step);
    context.allow_in_place(product.residual.value, product.c.value, step);
  }
  call.places = places_of(product, batch);
  step.workspace_bytes = call.plan.workspace_bytes(context.machine().threads);
  describe(call.plan, call.places.size(), constant_a.valid() || constant_b.valid(),
           spec.has_residual, step);
  step.call = Call(std::move(call));
}

}  // namespace anemone::cpu

// conv: a 1x1 kernel is a matrix product on the data as it lies; others gather what each output
// sees into columns first (im2col).
#include "anemone/mil/ops/conv.h"

#include <fmt/format.h>

#include <cstring>

#include "anemone/base/error.h"
#include "anemone/compute/copy.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/engine/cpu/lower/product.h"

namespace anemone::cpu {
namespace {

using mil::ConvAxis;
using mil::ConvGeometry;

// A layout of shape [batch, rows, columns] as an operand.
ProductOperand matrices(mil::Value value, DType dtype, const Layout& layout) {
  ProductOperand operand;
  operand.value = value;
  operand.dtype = dtype;
  operand.offset = layout.offset;
  operand.batch[0] = layout.strides[0];
  operand.row_stride = layout.strides[1];
  operand.col_stride = layout.strides[2];
  return operand;
}

// The bias, or what fusion adds to the result, as [batch, rows, columns]; nothing if it cannot be
// seen so.
std::optional<ProductOperand> addend(const LowerContext& context, const ConvGeometry& conv) {
  const mil::Value bias = context.argument("bias");
  if (bias.valid()) {
    Layout layout{Shape{1, conv.out_channels * conv.groups, 1}, {}, context.layout(bias).offset};
    layout.strides[1] = context.layout(bias).strides[0];
    return matrices(bias, context.dtype(bias), layout);
  }
  const mil::Value residual = context.group().residual;
  if (!residual.valid()) return ProductOperand{};
  const std::optional<Layout> layout =
      reshaped(context.layout(residual),
               Shape{conv.batch, conv.out_channels * conv.groups, conv.out_size()});
  if (!layout.has_value()) return std::nullopt;
  return matrices(residual, context.dtype(residual), *layout);
}

std::string lower_pointwise(LowerContext& context, Step& step) {
  const ConvGeometry conv = conv_geometry(context.op_context());
  const mil::Value x = context.argument("x"), weight = context.argument("weight");
  const mil::Value result = context.group().outputs.front();
  if (conv.groups != 1) return fmt::format("{} groups", conv.groups);
  if (!conv.is_product()) return "the kernel sees more than one element, or skips some";
  const std::int64_t points = conv.out_size();
  const auto in = reshaped(context.layout(x), Shape{conv.batch, conv.in_channels, points});
  const auto out = reshaped(context.layout(result), Shape{conv.batch, conv.out_channels, points});
  const auto matrix =
      reshaped(context.layout(weight), Shape{1, conv.out_channels, conv.in_channels});
  if (!in.has_value() || !out.has_value() || !matrix.has_value())
    return "positions are not evenly spaced in memory";
  const auto added = addend(context, conv);
  if (!added.has_value()) return "the residual is not evenly spaced in memory";

  Product product;
  product.batch = Shape{conv.batch};
  product.m = conv.out_channels;
  product.n = points;
  product.k = conv.in_channels;
  product.a = matrices(weight, context.dtype(weight), *matrix);
  if (conv.batch > 1) product.a.batch[0] = 0;
  product.b = matrices(x, context.dtype(x), *in);
  product.c = matrices(result, context.dtype(result), *out);
  product.residual = *added;
  product.alpha = context.group().alpha;
  lower_product(context, product, step);
  return {};
}

// Gathers columns [channel, kernel element, output] of one batch element, then multiplies.
struct Im2colCall {
  compute::CopyPlan pad;  // x into the middle of a padded copy
  compute::CopyPlan gather;
  std::size_t padded_bytes = 0, columns_bytes = 0;  // parts of the workspace, in this order
  std::ptrdiff_t pad_offset = 0;                    // bytes: where x begins in the padded copy
  Operand x;
  std::ptrdiff_t x_step = 0, out_step = 0,
                 residual_step = 0;  // bytes from one batch element to the next
  std::int64_t batch = 1;
  ProductCall product;  // b: ignored, the columns are

  void run(const Frame& frame) const {
    std::byte* padded = frame.workspace.data();
    std::byte* columns = padded + padded_bytes;
    const std::span<std::byte> rest = frame.workspace.subspan(padded_bytes + columns_bytes);
    if (padded_bytes > 0) std::memset(padded, 0, padded_bytes);
    for (std::int64_t n = 0; n < batch; ++n) {
      const std::byte* from = frame.at(x) + n * x_step;
      if (padded_bytes > 0) {
        compute::run(frame.pool, pad, from, padded + pad_offset);
        from = padded;
      }
      compute::run(frame.pool, gather, from, columns);
      compute::GemmArgs args;
      args.packed_a = product.packed_a;
      if (args.packed_a == nullptr) args.a = frame.at(product.a);
      args.b = columns;
      args.c = frame.at(product.c) + n * out_step;
      if (product.has_residual) args.residual = frame.at(product.residual) + n * residual_step;
      compute::run(frame.pool, product.plan, rest, args);
    }
  }
};

std::size_t aligned(std::int64_t bytes) {
  constexpr std::int64_t kAlignment = 128;
  return static_cast<std::size_t>((bytes + kAlignment - 1) / kAlignment * kAlignment);
}

// Zeros after x along an axis, as far as some output sees them.
std::int64_t padded_size(const ConvAxis& axis) {
  const std::int64_t reach = (axis.out - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
  return std::max(reach, axis.before + axis.in);
}

bool is_padded(const ConvGeometry& conv) {
  for (const ConvAxis& axis : conv.axes) {
    if (padded_size(axis) != axis.in) return true;
  }
  return false;
}

// Plans the copies: x [channels, D…] with these strides → (padded) → columns.
void plan_gather(const ConvGeometry& conv, DType dtype, const Layout& x,
                 const CpuFeatures& features, Im2colCall& call) {
  const std::int64_t channels = conv.in_channels * conv.groups;
  const auto size = static_cast<std::int64_t>(dtype_size(dtype));
  Shape spatial, padded{channels};
  Strides seen{x.strides[1]};  // of what is gathered: channels, then up to three dimensions
  const int first = 3 - conv.spatial;
  for (int i = 0; i < conv.spatial; ++i) {
    const ConvAxis& axis = conv.axes[first + i];
    padded.push_back(padded_size(axis));
    spatial.push_back(axis.in);
    seen[static_cast<std::size_t>(i + 1)] = x.strides[static_cast<std::size_t>(i + 2)];
  }
  if (is_padded(conv)) {
    compute::CopySpec pad;
    pad.shape = Shape{channels};
    pad.in_type = pad.out_type = dtype;
    pad.in_strides = seen;
    seen = contiguous_strides(padded);
    pad.out_strides = seen;
    for (int i = 0; i < conv.spatial; ++i) {
      pad.shape.push_back(spatial[i]);
      call.pad_offset += conv.axes[first + i].before * seen[static_cast<std::size_t>(i + 1)] * size;
    }
    call.pad = compute::plan_copy(pad, features);
    call.padded_bytes = aligned(padded.elements() * size);
  }
  compute::CopySpec gather;
  gather.shape = Shape{channels};
  gather.in_type = gather.out_type = dtype;
  gather.in_strides[0] = seen[0];
  for (int i = 0; i < conv.spatial; ++i) {
    const auto at = static_cast<std::size_t>(gather.shape.rank());
    gather.shape.push_back(conv.axes[first + i].kernel);
    gather.in_strides[at] = seen[static_cast<std::size_t>(i + 1)] * conv.axes[first + i].dilation;
  }
  for (int i = 0; i < conv.spatial; ++i) {
    const auto at = static_cast<std::size_t>(gather.shape.rank());
    gather.shape.push_back(conv.axes[first + i].out);
    gather.in_strides[at] = seen[static_cast<std::size_t>(i + 1)] * conv.axes[first + i].stride;
  }
  gather.out_strides = contiguous_strides(gather.shape);
  call.gather = compute::plan_copy(gather, features);
  call.columns_bytes = aligned(gather.shape.elements() * size);
}

std::string lower_im2col(LowerContext& context, Step& step) {
  const ConvGeometry conv = conv_geometry(context.op_context());
  const mil::Value x = context.argument("x"), weight = context.argument("weight");
  const mil::Value result = context.group().outputs.front();
  const DType dtype = context.dtype(x);
  const auto size = static_cast<std::ptrdiff_t>(dtype_size(dtype));
  const std::int64_t depth = conv.in_channels * conv.kernel_size();
  const std::int64_t points = conv.out_size();
  const auto out =
      reshaped(context.layout(result), Shape{conv.batch, conv.groups, conv.out_channels, points});
  const auto matrix =
      reshaped(context.layout(weight), Shape{conv.groups, conv.out_channels, depth});
  const auto added = addend(context, conv);
  if (!out.has_value() || !matrix.has_value() || !added.has_value())
    return "the result or the weight is not evenly spaced in memory";
  if (context.is_empty(result) || context.is_empty(x)) return "an empty tensor";

  Im2colCall call;
  plan_gather(conv, dtype, context.layout(x), context.features(), call);
  call.batch = conv.batch;
  call.x = context.read(x, step);
  call.x_step = context.layout(x).strides[0] * size;
  call.out_step = out->strides[0] * size;

  compute::GemmSpec spec;
  spec.batch = conv.groups;
  spec.m = conv.out_channels;
  spec.n = points;
  spec.k = depth;
  const auto operand = [&](std::ptrdiff_t row, std::ptrdiff_t col, std::ptrdiff_t batch) {
    compute::GemmOperand made;
    made.type = dtype;
    made.row_stride = row;
    made.col_stride = col;
    made.batch_stride = batch;
    return made;
  };
  const mil::Value constant = conv.groups == 1 ? context.constant_behind(weight) : mil::Value{};
  spec.a = constant.valid() ? compute::GemmOperand::constant_of(dtype)
                            : operand(matrix->strides[1], matrix->strides[2], matrix->strides[0]);
  spec.b = operand(points, 1, depth * points);
  spec.c = operand(out->strides[2], out->strides[3], out->strides[1]);
  spec.alpha = static_cast<float>(context.group().alpha);
  spec.precision = context.machine().products;
  if (added->valid()) {
    spec.has_residual = call.product.has_residual = true;
    spec.residual =
        operand(added->row_stride, added->col_stride, added->row_stride * conv.out_channels);
    call.product.residual = context.read(added->value, step);
    call.residual_step = added->batch[0] * size;
    if (context.argument("bias").valid()) call.residual_step = 0;
  }
  call.product.plan = compute::plan_gemm(spec, context.features());
  if (constant.valid()) {
    call.product.packed_a =
        context.constants().packed(constant, matrix->offset, matrix->strides[1], matrix->strides[2],
                                   call.product.plan, compute::GemmSide::a);
  } else {
    call.product.a = context.read(weight, step);
  }
  call.product.c = context.write(result, step);
  step.workspace_bytes = call.padded_bytes + call.columns_bytes +
                         call.product.plan.workspace_bytes(context.machine().threads);
  step.flops = call.product.plan.flops() * static_cast<double>(conv.batch);
  step.implementation =
      fmt::format("im2col {} bytes, gemm {} m={} n={} k={}{}{}", call.columns_bytes,
                  call.product.plan.kernel_name(), spec.m, spec.n, spec.k,
                  conv.groups == 1 ? "" : fmt::format(" groups={}", conv.groups),
                  conv.batch == 1 ? "" : fmt::format(" batch={}", conv.batch));
  step.call = Call(std::move(call));
  return {};
}

constexpr Alternative kList[] = {{"pointwise", lower_pointwise}, {"im2col", lower_im2col}};

}  // namespace

const std::span<const Alternative> kConvAlternatives = kList;

}  // namespace anemone::cpu

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

// What a 1x1 convolution reads and writes, each as [batch, channels, positions…] of one rank.
struct Pointwise {
  Layout in, out, added;
  mil::Value added_value;  // the bias, or what fusion adds; invalid: none
};

Layout stretched(const Layout& layout, const Shape& shape) {
  return {shape, broadcast_strides(layout, shape), layout.offset};
}

Layout bias_layout(const Layout& bias, const Shape& result) {
  Layout layout{result, {}, bias.offset};
  layout.strides[1] = bias.strides[0];
  return layout;
}

Pointwise pointwise_tensors(const LowerContext& context) {
  const mil::Value bias = context.argument("bias"), residual = context.group().residual;
  Pointwise tensors;
  tensors.in = context.layout(context.argument("x"));
  tensors.out = context.layout(context.group().outputs.front());
  if (bias.valid()) {
    tensors.added_value = bias;
    tensors.added = bias_layout(context.layout(bias), tensors.out.shape);
  } else if (residual.valid()) {
    tensors.added_value = residual;
    tensors.added = stretched(context.layout(residual), tensors.out.shape);
  } else {
    tensors.added = tensors.out;
  }
  return tensors;
}

// Positions as one dimension, where all three tensors have them evenly spaced.
void flatten_positions(Pointwise& tensors) {
  const auto flat = [](const Layout& layout) {
    const Shape& shape = layout.shape;
    if (shape[0] * shape[1] == 0) return std::optional<Layout>();
    return reshaped(layout, Shape{shape[0], shape[1], shape.elements() / (shape[0] * shape[1])});
  };
  const auto in = flat(tensors.in), out = flat(tensors.out), added = flat(tensors.added);
  if (in.has_value() && out.has_value() && added.has_value())
    tensors = {*in, *out, *added, tensors.added_value};
}

// [batch, rows, outer positions…, columns]: a matrix for every element of the batch and outer
// position.
ProductOperand matrices(mil::Value value, DType dtype, const Layout& layout) {
  const auto last = static_cast<std::size_t>(layout.shape.rank() - 1);
  ProductOperand operand;
  operand.value = value;
  operand.dtype = dtype;
  operand.offset = layout.offset;
  operand.row_stride = layout.strides[1];
  operand.col_stride = layout.strides[last];
  operand.batch[0] = layout.strides[0];
  for (std::size_t axis = 2; axis < last; ++axis) operand.batch[axis - 1] = layout.strides[axis];
  return operand;
}

std::string lower_pointwise(LowerContext& context, Step& step) {
  const ConvGeometry conv = conv_geometry(context.op_context());
  if (conv.groups != 1) return fmt::format("{} groups", conv.groups);
  if (!conv.is_product()) return "the kernel sees more than one element, or skips some";
  const mil::Value x = context.argument("x"), weight = context.argument("weight");
  const mil::Value result = context.group().outputs.front();
  const auto matrix = reshaped(context.layout(weight), Shape{conv.out_channels, conv.in_channels});
  ANEMONE_CHECK(matrix.has_value(), "dimensions of one element can be dropped");
  Pointwise tensors = pointwise_tensors(context);
  flatten_positions(tensors);

  const Shape& shape = tensors.out.shape;
  Product product;
  product.batch = Shape{conv.batch};
  for (int axis = 2; axis + 1 < shape.rank(); ++axis) product.batch.push_back(shape[axis]);
  product.m = conv.out_channels;
  product.n = shape[shape.rank() - 1];
  product.k = conv.in_channels;
  product.a.value = weight;
  product.a.dtype = context.dtype(weight);
  product.a.offset = matrix->offset;
  product.a.row_stride = matrix->strides[0];
  product.a.col_stride = matrix->strides[1];
  product.b = matrices(x, context.dtype(x), tensors.in);
  product.c = matrices(result, context.dtype(result), tensors.out);
  if (tensors.added_value.valid()) {
    product.residual =
        matrices(tensors.added_value, context.dtype(tensors.added_value), tensors.added);
  }
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
  std::ptrdiff_t x_step = 0, out_step = 0;  // bytes from one batch element to the next
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
      if (product.has_residual) args.residual = frame.at(product.residual);
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

// Where result, weight and addend lie, as matrices.
struct Im2colMatrices {
  Layout out;     // [batch, group, channel, position]
  Layout weight;  // [group, channel, depth]
};

std::optional<Im2colMatrices> im2col_matrices(const LowerContext& context,
                                              const ConvGeometry& conv) {
  const std::int64_t depth = conv.in_channels * conv.kernel_size();
  const auto out = reshaped(context.layout(context.group().outputs.front()),
                            Shape{conv.batch, conv.groups, conv.out_channels, conv.out_size()});
  const auto weight = reshaped(context.layout(context.argument("weight")),
                               Shape{conv.groups, conv.out_channels, depth});
  if (!out.has_value() || !weight.has_value()) return std::nullopt;
  return Im2colMatrices{*out, *weight};
}

// The product of one batch element, over groups.
compute::GemmSpec im2col_product(const LowerContext& context, const ConvGeometry& conv,
                                 const Im2colMatrices& matrices, bool constant_weight) {
  const DType dtype = context.dtype(context.argument("x"));
  const auto operand = [&](std::ptrdiff_t row, std::ptrdiff_t col, std::ptrdiff_t batch) {
    compute::GemmOperand made;
    made.type = dtype;
    made.row_stride = row;
    made.col_stride = col;
    made.batch_stride = batch;
    return made;
  };
  const Layout &weight = matrices.weight, &out = matrices.out;
  compute::GemmSpec spec;
  spec.batch = conv.groups;
  spec.m = conv.out_channels;
  spec.n = conv.out_size();
  spec.k = conv.in_channels * conv.kernel_size();
  spec.a = constant_weight ? compute::GemmOperand::constant_of(dtype)
                           : operand(weight.strides[1], weight.strides[2], weight.strides[0]);
  spec.b = operand(spec.n, 1, spec.k * spec.n);
  spec.c = operand(out.strides[2], out.strides[3], out.strides[1]);
  spec.precision = context.machine().products;
  const mil::Value bias = context.argument("bias");
  if (bias.valid()) {
    const std::ptrdiff_t stride = context.layout(bias).strides[0];
    spec.has_residual = true;
    spec.residual = operand(stride, 0, stride * conv.out_channels);
  }
  return spec;
}

std::string describe_im2col(const ConvGeometry& conv, const Im2colCall& call) {
  const compute::GemmSpec& spec = call.product.plan.spec;
  return fmt::format("im2col {} bytes, gemm {} m={} n={} k={}{}{}", call.columns_bytes,
                     call.product.plan.kernel_name(), spec.m, spec.n, spec.k,
                     conv.groups == 1 ? "" : fmt::format(" groups={}", conv.groups),
                     conv.batch == 1 ? "" : fmt::format(" batch={}", conv.batch));
}

std::string lower_im2col(LowerContext& context, Step& step) {
  const ConvGeometry conv = conv_geometry(context.op_context());
  const mil::Value x = context.argument("x"), weight = context.argument("weight");
  const mil::Value result = context.group().outputs.front();
  if (context.is_empty(result) || context.is_empty(x)) return "an empty tensor";
  const auto matrices = im2col_matrices(context, conv);
  if (!matrices.has_value()) return "the result or the weight is not evenly spaced in memory";

  const auto bytes = [&](mil::Value value, std::ptrdiff_t elements) {
    return elements * static_cast<std::ptrdiff_t>(dtype_size(context.dtype(value)));
  };
  Im2colCall call;
  plan_gather(conv, context.dtype(x), context.layout(x), context.features(), call);
  call.batch = conv.batch;
  call.x = context.read(x, step);
  call.x_step = bytes(x, context.layout(x).strides[0]);
  call.out_step = bytes(result, matrices->out.strides[0]);

  const mil::Value constant = conv.groups == 1 ? context.constant_behind(weight) : mil::Value{};
  ProductCall& product = call.product;
  product.plan = compute::plan_gemm(im2col_product(context, conv, *matrices, constant.valid()),
                                    context.features());
  if (constant.valid()) {
    product.packed_a =
        context.constants().packed(constant, matrices->weight.offset, matrices->weight.strides[1],
                                   matrices->weight.strides[2], product.plan, compute::GemmSide::a);
  } else {
    product.a = context.read(weight, step);
  }
  product.c = context.write(result, step);
  if (const mil::Value bias = context.argument("bias"); bias.valid()) {
    product.has_residual = true;
    product.residual = context.read(bias, step);
  }
  step.workspace_bytes = call.padded_bytes + call.columns_bytes +
                         product.plan.workspace_bytes(context.machine().threads);
  step.flops = product.plan.flops() * static_cast<double>(conv.batch);
  step.implementation = describe_im2col(conv, call);
  step.call = Call(std::move(call));
  return {};
}

constexpr Alternative kConvList[] = {{"pointwise", lower_pointwise}, {"im2col", lower_im2col}};

}  // namespace

const std::span<const Alternative> kConvAlternatives = kConvList;

bool conv_folds(const mil::OpContext& op) {
  const ConvGeometry conv = conv_geometry(op);
  return conv.groups == 1 && conv.is_product();
}

}  // namespace anemone::cpu

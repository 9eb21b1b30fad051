// conv: convolution over one to three spatial dimensions.
#include "anemone/mil/ops/conv.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/mil/ops/common.h"
#include "anemone/mil/ops/product.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

enum Param { kX, kWeight, kBias, kStrides, kPadType, kPad, kDilations, kGroups };

constexpr ParamDef kParams[] = {
    tensor_param("x", kFloats, "[N, C, D…] with one to three spatial dimensions D"),
    tensor_param("weight", kFloats, "[OC, C / groups, K…]"),
    {"bias", ParamRole::tensor, kFloats, Presence::optional, Arity::one, {}, "[OC]; default 0"},
    optional_param("strides", kInts, std::monostate{}, "one per spatial dimension; default 1"),
    optional_param(
        "pad_type", kString, std::string_view("valid"),
        "`valid` (no padding), `same` and `same_lower` (the output has ⌈D / stride⌉ elements; an "
        "odd "
        "padding has its extra element behind, or with same_lower in front) or `custom`"),
    optional_param(
        "pad", kInts, std::monostate{},
        "for `custom`: elements of zero before and after each spatial dimension; default 0"),
    optional_param("dilations", kInts, std::monostate{}, "one per spatial dimension; default 1"),
    optional_param("groups", kInts, std::int64_t{1},
                   "channels are cut into this many groups that do not see each other"),
};

void check_positive(std::string_view name, const std::vector<std::int64_t>& values) {
  for (const std::int64_t value : values) {
    if (value < 1) throw Error(fmt::format("{} of {}", name, value), {}, "1 or more");
  }
}

// Fills in the padding before and the size of the output.
void place(ConvAxis& axis, int index, const std::string& pad_type,
           const std::vector<std::int64_t>& pad) {
  const std::int64_t reach = (axis.kernel - 1) * axis.dilation + 1;
  std::int64_t padding = 0;
  if (pad_type == "custom") {
    const auto i = static_cast<std::size_t>(index);
    axis.before = pad[2 * i];
    padding = pad[2 * i] + pad[2 * i + 1];
  } else if (pad_type != "valid") {
    const std::int64_t out = (axis.in + axis.stride - 1) / axis.stride;
    padding = std::max<std::int64_t>(0, (out - 1) * axis.stride + reach - axis.in);
    axis.before = pad_type == "same" ? padding / 2 : padding - padding / 2;
  }
  const std::int64_t room = axis.in + padding - reach;
  if (room < 0) {
    throw Error(
        fmt::format("the kernel reaches over {} elements of spatial dimension {}, which has {}",
                    reach, index, axis.in + padding));
  }
  axis.out = room / axis.stride + 1;
}

void check_shapes(const OpContext& op) {
  const Shape &x = op.shape(kX), &weight = op.shape(kWeight);
  if (x.rank() < 3 || x.rank() > 5) {
    throw Error("x is " + op.type(kX).to_string(), {},
                "rank 3, 4 or 5: [N, C, spatial dimensions]");
  }
  if (weight.rank() != x.rank()) {
    throw Error(fmt::format("weight {} has rank {} but x has rank {}", weight.to_string(),
                            weight.rank(), x.rank()));
  }
  const std::int64_t groups = op.integer(kGroups);
  if (groups < 1 || x[1] % groups != 0 || weight[0] % groups != 0) {
    throw Error(
        fmt::format("{} groups do not divide {} channels in and {} out", groups, x[1], weight[0]));
  }
  if (weight[1] != x[1] / groups) {
    throw Error(
        fmt::format("weight {} takes {} channels of each group, but x {} in {} groups has {}",
                    weight.to_string(), weight[1], x.to_string(), groups, x[1] / groups));
  }
  same_dtype(op, kX, kWeight);
  if (op.has(kBias)) {
    same_dtype(op, kX, kBias);
    if (!(op.shape(kBias) == Shape{weight[0]})) {
      throw Error("bias is " + op.type(kBias).to_string(), {}, fmt::format("[{}]", weight[0]));
    }
  }
}

}  // namespace

ConvGeometry conv_geometry(const OpContext& op) {
  check_shapes(op);
  const Shape &x = op.shape(kX), &weight = op.shape(kWeight);
  const std::string pad_type = op.string(kPadType);
  if (pad_type != "valid" && pad_type != "same" && pad_type != "same_lower" &&
      pad_type != "custom") {
    throw Error("pad_type \"" + pad_type + "\"", {}, "valid, same, same_lower or custom");
  }
  ConvGeometry p;
  p.spatial = x.rank() - 2;
  const auto strides = op.integers_or(kStrides, p.spatial, 1);
  const auto dilations = op.integers_or(kDilations, p.spatial, 1);
  check_positive("a stride", strides);
  check_positive("a dilation", dilations);
  std::vector<std::int64_t> pad;
  if (pad_type == "custom") pad = op.integers_or(kPad, 2 * p.spatial, 0);
  for (const std::int64_t value : pad) {
    if (value < 0) throw Error(fmt::format("a pad of {}", value), {}, "0 or more");
  }
  p.batch = x[0];
  p.groups = op.integer(kGroups);
  p.in_channels = weight[1];
  p.out_channels = weight[0] / p.groups;
  for (int i = 0; i < p.spatial; ++i) {
    ConvAxis& axis = p.axes[3 - p.spatial + i];
    axis.in = x[2 + i];
    axis.kernel = weight[2 + i];
    if (axis.kernel < 1) throw Error("weight " + weight.to_string() + " is an empty kernel");
    axis.stride = strides[static_cast<std::size_t>(i)];
    axis.dilation = dilations[static_cast<std::size_t>(i)];
    place(axis, i, pad_type, pad);
  }
  return p;
}

namespace {

std::vector<Type> infer(const OpContext& op) {
  const ConvGeometry p = conv_geometry(op);
  Shape out{p.batch, p.out_channels * p.groups};
  for (int i = 3 - p.spatial; i < 3; ++i) out.push_back(p.axes[i].out);
  return {Type::tensor(op.dtype(kX), out)};
}

std::int64_t terms(const OpContext& op) {
  const ConvGeometry p = conv_geometry(op);
  return p.in_channels * p.kernel_size() + (op.has(kBias) ? 1 : 0);
}

// The outputs [first, last) along an axis whose input for kernel element `k` lies inside x.
struct Range {
  std::int64_t first, last, input;  // and the input of `first`
};
Range valid_outputs(const ConvAxis& axis, std::int64_t k) {
  const std::int64_t shift = k * axis.dilation - axis.before;  // input = out * stride + shift
  const std::int64_t first = shift >= 0 ? 0 : (-shift + axis.stride - 1) / axis.stride;
  const std::int64_t room = axis.in - shift;
  const std::int64_t last =
      room <= 0 ? 0 : std::min(axis.out, (room + axis.stride - 1) / axis.stride);
  return {first, std::max(first, last), first * axis.stride + shift};
}

// out += w * (x seen through kernel element (k0, k1, k2)), for one channel of x and one of the
// output.
template <class T>
void add_tap(const ConvGeometry& p, const T& w, std::int64_t k0, std::int64_t k1, std::int64_t k2,
             const T* x, T* out) {
  const auto [d0, d1, d2] = p.axes;
  const Range r0 = valid_outputs(d0, k0), r1 = valid_outputs(d1, k1), r2 = valid_outputs(d2, k2);
  for (std::int64_t i = r0.first; i < r0.last; ++i) {
    const std::int64_t plane = r0.input + (i - r0.first) * d0.stride;
    for (std::int64_t j = r1.first; j < r1.last; ++j) {
      const std::int64_t row = r1.input + (j - r1.first) * d1.stride;
      add_scaled<T>(r2.last - r2.first, w, x + (plane * d1.in + row) * d2.in + r2.input, d2.stride,
                    out + (i * d1.out + j) * d2.out + r2.first);
    }
  }
}

// What the weights are multiplied with, as a matrix: [in_channels * kernel elements, outputs].
template <class T>
std::vector<T> seen_by_kernel(const ConvGeometry& p, const T* x) {
  std::vector<T> seen(static_cast<std::size_t>(p.in_channels * p.kernel_size() * p.out_size()));
  T* to = seen.data();
  for (std::int64_t ic = 0; ic < p.in_channels; ++ic) {
    for (std::int64_t k0 = 0; k0 < p.axes[0].kernel; ++k0) {
      for (std::int64_t k1 = 0; k1 < p.axes[1].kernel; ++k1) {
        for (std::int64_t k2 = 0; k2 < p.axes[2].kernel; ++k2, to += p.out_size()) {
          add_tap<T>(p, T(1), k0, k1, k2, x + ic * p.in_size(), to);
        }
      }
    }
  }
  return seen;
}

// One group of one element of the batch.
template <class T>
void convolve(const EvalContext<T>& context, const ConvGeometry& p, const T* x, const T* weight,
              T* out) {
  if (p.is_product()) {
    add_product(context, p.out_channels, p.out_size(), p.in_channels, weight, x, out);
    return;
  }
  if (context.products != nullptr) {
    const std::vector<T> seen = seen_by_kernel(p, x);
    add_product(context, p.out_channels, p.out_size(), p.in_channels * p.kernel_size(), weight,
                seen.data(), out);
    return;
  }
  for (std::int64_t oc = 0; oc < p.out_channels; ++oc) {
    for (std::int64_t ic = 0; ic < p.in_channels; ++ic) {
      const T* w = weight + (oc * p.in_channels + ic) * p.kernel_size();
      for (std::int64_t k0 = 0; k0 < p.axes[0].kernel; ++k0) {
        for (std::int64_t k1 = 0; k1 < p.axes[1].kernel; ++k1) {
          for (std::int64_t k2 = 0; k2 < p.axes[2].kernel; ++k2) {
            add_tap<T>(p, *w++, k0, k1, k2, x + ic * p.in_size(), out + oc * p.out_size());
          }
        }
      }
    }
  }
}

template <class T>
void eval(const EvalContext<T>& context) {
  const ConvGeometry p = conv_geometry(context.op);
  const T *x = context.input(kX).data.data(), *weight = context.input(kWeight).data.data();
  T* out = context.output().data.data();
  for (std::int64_t n = 0; n < p.batch; ++n) {
    for (std::int64_t oc = 0; oc < p.out_channels * p.groups; ++oc) {
      const T start =
          context.op.has(kBias) ? context.input(kBias).data[static_cast<std::size_t>(oc)] : T(0);
      std::fill_n(out + (n * p.out_channels * p.groups + oc) * p.out_size(), p.out_size(), start);
    }
    for (std::int64_t g = 0; g < p.groups; ++g) {
      const std::int64_t block = n * p.groups + g;
      convolve(context, p, x + block * p.in_channels * p.in_size(),
               weight + g * p.out_channels * p.in_channels * p.kernel_size(),
               out + block * p.out_channels * p.out_size());
    }
  }
}

std::vector<std::int64_t> draw(RandomProgram& random, int count, std::int64_t low,
                               std::int64_t high) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  for (std::int64_t& number : numbers) number = random.integer(low, high);
  return numbers;
}

bool sample(RandomProgram& random) {
  const Value x = random.value(kFloats, 3, 5);
  const Shape shape = random.shape_of(x);
  const DType dtype = random.type(x).dtype;
  const int spatial = shape.rank() - 2;
  const std::int64_t groups = random.chance(0.3) ? shape[1] : 1;
  Shape weight{groups * random.integer(1, 3), shape[1] / groups};
  const bool product = random.chance(0.4);
  // `same` accepts any kernel; without padding it must fit into x.
  const char* pad_type = product ? "valid" : random.chance(0.5) ? "same" : "same_lower";
  if (!product && random.chance(0.3)) pad_type = "custom";
  for (int i = 0; i < spatial; ++i) weight.push_back(product ? 1 : random.integer(1, 3));
  const Value w = random.value_of(Type::tensor(dtype, weight));
  std::vector<Builder::Argument> arguments{{"x", x}, {"weight", w}, {"pad_type", pad_type}};
  if (groups != 1) arguments.emplace_back("groups", groups);
  if (!product) {
    arguments.emplace_back("strides", draw(random, spatial, 1, 2));
    // A kernel of 3 dilated by 2 reaches over 5 elements: 2 on each side and one of x.
    if (std::string_view(pad_type) == "custom")
      arguments.emplace_back("pad", draw(random, 2 * spatial, 2, 3));
    if (random.chance(0.5)) arguments.emplace_back("dilations", draw(random, spatial, 1, 2));
  }
  if (random.chance(0.4)) {
    arguments.emplace_back("bias", random.value_of(Type::tensor(dtype, {weight[0]})));
  }
  return random.emit(OpKind::conv, std::move(arguments));
}

}  // namespace

constinit const OpDef op_conv = {
    .kind = OpKind::conv,
    .name = "conv",
    .doc =
        "Convolution: out[n, o, d] = bias[o] + Σ over channels c of o's group and kernel elements "
        "k of "
        "weight[o, c, k] · x[n, c, d · stride + k · dilation − pad], with zeros around x. A weight "
        "[OC, C, 1, 1] "
        "makes it the linear layer of channel-first data.",
    .params = kParams,
    .infer = infer,
    .eval_real = eval,
    .eval_complex = eval,
    .tolerance = {.ulps = 1, .sums = 1, .magnitude_from_absolute_inputs = true},
    .terms = terms,
    .sample = sample,
};

}  // namespace anemone::mil

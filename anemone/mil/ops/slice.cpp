// Parts of a tensor: slice_by_size and slice_by_index.
#include "anemone/mil/ops/slice.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/mil/ops/common.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

namespace size_param {
enum { kX, kBegin, kSize };
}

constexpr ParamDef kSizeParams[] = {
    tensor_param("x", kAnyNumber),
    tensor_param("begin", kInts,
                 "the first index along each axis; a negative one counts from the end. Computed at "
                 "run time, it is "
                 "moved so that the slice lies inside x"),
    constant_param("size", kInts, "elements along each axis; −1: all that follow a constant begin"),
};

std::vector<Type> infer_size(const OpContext& op) {
  using namespace size_param;
  const Shape& x = op.shape(kX);
  const int rank = x.rank();
  if (!(op.shape(kBegin) == Shape{rank})) {
    throw Error("begin is " + op.type(kBegin).to_string(), {}, fmt::format("int32 [{}]", rank));
  }
  const std::vector<std::int64_t> size = op.integers_or(kSize, rank, -1);
  const bool fixed = op.function().constant(op.operation().arguments[kBegin][0]) != nullptr;
  const std::vector<std::int64_t> begin = fixed ? op.integers(kBegin) : std::vector<std::int64_t>();
  Shape shape;
  for (int axis = 0; axis < rank; ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    const std::int64_t first = !fixed ? 0 : begin[i] < 0 ? begin[i] + x[axis] : begin[i];
    if (size[i] == -1 && !fixed) throw Error("a size of -1 needs a constant begin");
    const std::int64_t count = size[i] == -1 ? x[axis] - first : size[i];
    if (first < 0 || count < 0 || first > x[axis] - count) {
      throw Error(fmt::format("elements {}..{} of axis {}, which has {}", first, first + count,
                              axis, x[axis]));
    }
    shape.push_back(count);
  }
  return {Type::tensor(op.dtype(kX), shape)};
}

// `begin` may be computed at run time; the slice is moved so that it lies inside x.
template <class T>
std::int64_t size_begin(const EvalContext<T>& context, int axis) {
  using namespace size_param;
  const std::int64_t dim = context.input(kX).shape[axis];
  auto first = static_cast<std::int64_t>(
      real_part(context.input(kBegin).data[static_cast<std::size_t>(axis)]));
  if (first < 0) first += dim;
  return std::clamp<std::int64_t>(first, 0, dim - context.output().shape[axis]);
}

template <class T>
void eval_size(const EvalContext<T>& context) {
  using namespace size_param;
  const auto& x = context.input(kX);
  const auto& out = context.output();
  if (out.data.empty()) return;
  const Strides strides = contiguous_strides(x.shape);
  std::int64_t offset = 0;
  for (int axis = 0; axis < x.shape.rank(); ++axis) {
    offset += size_begin(context, axis) * strides[static_cast<std::size_t>(axis)];
  }
  copy_strided(out.shape, x.data.data() + offset, strides, out.data.data(),
               contiguous_strides(out.shape));
}

namespace index_param {
enum { kX, kBegin, kEnd, kStride, kBeginMask, kEndMask, kSqueezeMask };
}

constexpr ParamDef kIndexParams[] = {
    tensor_param("x", kAnyNumber),
    constant_param("begin", kInts,
                   "the first index along each axis; a negative one counts from the end"),
    constant_param("end", kInts, "the index after the last"),
    optional_param("stride", kInts, std::monostate{}, "default 1; may be negative"),
    optional_param("begin_mask", kBool, std::monostate{}, "true: from where the axis begins"),
    optional_param("end_mask", kBool, std::monostate{}, "true: to where the axis ends"),
    optional_param("squeeze_mask", kBool, std::monostate{},
                   "true: only element `begin`, and the axis is dropped"),
};

struct AxisSlice {
  std::int64_t first, count, stride;
  bool squeezed;
};

AxisSlice one_element(std::int64_t begin, std::int64_t dim, int axis) {
  const std::int64_t index = begin < 0 ? begin + dim : begin;
  if (index < 0 || index >= dim) {
    throw Error(fmt::format("index {} of axis {}, which has {} elements", begin, axis, dim));
  }
  return {index, 1, 1, true};
}

// As a Python slice [begin:end:stride] of `dim` elements: out of range is cut off.
AxisSlice range(std::int64_t begin, std::int64_t end, std::int64_t stride, bool from_start,
                bool to_end, std::int64_t dim) {
  const std::int64_t lowest = stride > 0 ? 0 : -1, highest = stride > 0 ? dim : dim - 1;
  const auto inside = [&](std::int64_t index) {
    return std::clamp(index < 0 ? index + dim : index, lowest, highest);
  };
  const std::int64_t first = from_start ? (stride > 0 ? lowest : highest) : inside(begin);
  const std::int64_t last = to_end ? (stride > 0 ? highest : lowest) : inside(end);
  const std::int64_t distance = stride > 0 ? last - first : first - last;
  const std::int64_t step = stride > 0 ? stride : -stride;
  return {first, distance <= 0 ? 0 : (distance + step - 1) / step, stride, false};
}

std::vector<AxisSlice> slices(const OpContext& op) {
  using namespace index_param;
  const Shape& x = op.shape(kX);
  const int rank = x.rank();
  const auto begin = op.integers_or(kBegin, rank, 0), end = op.integers_or(kEnd, rank, 0);
  const auto stride = op.integers_or(kStride, rank, 1);
  const auto from_start = op.integers_or(kBeginMask, rank, 0);
  const auto to_end = op.integers_or(kEndMask, rank, 0);
  const auto squeeze = op.integers_or(kSqueezeMask, rank, 0);
  std::vector<AxisSlice> result;
  for (int axis = 0; axis < rank; ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    if (stride[i] == 0) throw Error("a stride of 0");
    const std::int64_t first = from_start[i] != 0 ? 0 : begin[i];
    result.push_back(squeeze[i] != 0 ? one_element(first, x[axis], axis)
                                     : range(begin[i], end[i], stride[i], from_start[i] != 0,
                                             to_end[i] != 0, x[axis]));
  }
  return result;
}

std::vector<Type> infer_index(const OpContext& op) {
  Shape shape;
  for (const AxisSlice& slice : slices(op)) {
    if (!slice.squeezed) shape.push_back(slice.count);
  }
  return {Type::tensor(op.dtype(index_param::kX), shape)};
}

template <class T>
void eval_index(const EvalContext<T>& context) {
  const auto& x = context.input(index_param::kX);
  const auto& out = context.output();
  if (out.data.empty()) return;
  const Strides own = contiguous_strides(x.shape);
  Strides from{};
  std::int64_t offset = 0;
  std::size_t axis = 0, kept = 0;
  for (const AxisSlice& slice : slices(context.op)) {
    offset += slice.first * own[axis];
    if (!slice.squeezed) from[kept++] = slice.stride * own[axis];
    ++axis;
  }
  copy_strided(out.shape, x.data.data() + offset, from, out.data.data(),
               contiguous_strides(out.shape));
}

bool sample_size(RandomProgram& random) {
  const Value x = random.value(kAnyNumber, 1);
  const Shape shape = random.shape_of(x);
  std::vector<std::int64_t> begin, size;
  for (const std::int64_t dim : shape) {
    begin.push_back(random.integer(0, dim - 1));
    size.push_back(random.chance(0.3) ? -1 : random.integer(1, dim - begin.back()));
    if (random.chance(0.2)) begin.back() -= dim;
  }
  if (random.chance(0.2)) {  // begin may be an input; any of these lies inside x along every axis
    std::int64_t room = RandomProgram::kLimit;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      std::int64_t& count = size[static_cast<std::size_t>(axis)];
      if (count == -1) count = (shape[axis] + 1) / 2;
      room = std::min(room, shape[axis] - count);
    }
    const Value at =
        random.fresh(Type::tensor(DType::int32, {shape.rank()}), 0, static_cast<double>(room));
    return random.emit(OpKind::slice_by_size, {{"x", x}, {"begin", at}, {"size", size}});
  }
  return random.emit(OpKind::slice_by_size, {{"x", x}, {"begin", begin}, {"size", size}});
}

// Never an empty slice: those are tested by hand.
bool sample_index(RandomProgram& random) {
  const Value x = random.value(kAnyNumber, 1);
  std::vector<std::int64_t> begin, end, stride;
  std::vector<double> from_start, to_end, squeeze;
  for (const std::int64_t dim : random.shape_of(x)) {
    std::int64_t first = random.integer(0, dim - 1), last = random.integer(first, dim - 1) + 1;
    stride.push_back(random.integer(1, 3));
    if (random.chance(0.2)) {  // backward, from the last to before the first
      std::swap(first, last);
      --first, --last;
      stride.back() = -stride.back();
      if (last < 0) last -= dim;
    }
    begin.push_back(random.chance(0.2) ? first - dim : first);
    end.push_back(last);
    from_start.push_back(stride.back() > 0 && random.chance(0.2) ? 1 : 0);
    to_end.push_back(stride.back() > 0 && random.chance(0.2) ? 1 : 0);
    squeeze.push_back(random.chance(0.15) ? 1 : 0);
  }
  const auto mask = [](const std::vector<double>& bits) {
    return Constant::numbers(DType::boolean, {static_cast<std::int64_t>(bits.size())}, bits);
  };
  return random.emit(OpKind::slice_by_index, {{"x", x},
                                              {"begin", begin},
                                              {"end", end},
                                              {"stride", stride},
                                              {"begin_mask", mask(from_start)},
                                              {"end_mask", mask(to_end)},
                                              {"squeeze_mask", mask(squeeze)}});
}

}  // namespace

std::int64_t slice_begin(const EvalContext<double>& context, int axis) {
  if (context.op.def().kind == OpKind::slice_by_size) return size_begin(context, axis);
  return slices(context.op)[static_cast<std::size_t>(axis)].first;
}

constinit const OpDef op_slice_by_size = {
    .kind = OpKind::slice_by_size,
    .name = "slice_by_size",
    .doc = "The part of x that starts at `begin` and has `size` elements along each axis.",
    .params = kSizeParams,
    .infer = infer_size,
    .eval_real = eval_size,
    .eval_complex = eval_size,
    .tolerance = {.ulps = 0, .sums = 0},
    .sample = sample_size,
};

constinit const OpDef op_slice_by_index = {
    .kind = OpKind::slice_by_index,
    .name = "slice_by_index",
    .doc = "x[begin : end : stride] along each axis, by the rules of Python's slices.",
    .params = kIndexParams,
    .infer = infer_index,
    .eval_real = eval_index,
    .eval_complex = eval_index,
    .tolerance = {.ulps = 0, .sums = 0},
    .sample = sample_index,
};

}  // namespace anemone::mil

// Joining tensors along an axis and cutting them apart: concat and split.
#include <fmt/format.h>

#include "anemone/base/error.h"
#include "anemone/mil/ops/common.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

namespace concat_param {
enum { kValues, kAxis, kInterleave };
}

constexpr ParamDef kConcatParams[] = {
    {"values",
     ParamRole::tensor,
     kAnyNumber,
     Presence::required,
     Arity::variadic,
     {},
     "of one element type, and one shape but for `axis`"},
    constant_param("axis", kInts),
    optional_param(
        "interleave", kBool, false,
        "take elements along the axis from each value in turn; all shapes must be equal"),
};

std::vector<Type> infer_concat(const OpContext& op) {
  using namespace concat_param;
  Shape shape = op.shape(kValues);
  const DType dtype = op.dtype(kValues);
  const int axis = op.axis(kAxis, shape.rank());
  const bool interleave = op.boolean(kInterleave);
  for (int i = 1; i < op.count(kValues); ++i) {
    const Type& type = op.type(kValues, i);
    bool fits = type.dtype == dtype && type.shape.rank() == shape.rank();
    for (int a = 0; fits && a < shape.rank(); ++a) {
      fits = (a == axis && !interleave) || type.shape[a] == op.shape(kValues)[a];
    }
    if (!fits) {
      throw Error(fmt::format("values[{}] is {} but values[0] is {}", i, type.to_string(),
                              op.type(kValues).to_string()),
                  {},
                  interleave ? "equal types" : fmt::format("equal types but for axis {}", axis));
    }
    shape[axis] += type.shape[axis];
  }
  return {Type::tensor(dtype, shape)};
}

template <class T>
void eval_concat(const EvalContext<T>& context) {
  using namespace concat_param;
  const auto& out = context.output();
  const auto axis = static_cast<std::size_t>(context.op.axis(kAxis, out.shape.rank()));
  const bool interleave = context.op.boolean(kInterleave);
  const int count = context.op.count(kValues);
  const Strides own = contiguous_strides(out.shape);
  Strides to = own;
  if (interleave) to[axis] *= count;
  std::int64_t position = 0;
  for (int i = 0; i < count; ++i) {
    const auto& value = context.input(kValues, i);
    if (!value.data.empty()) {
      copy_strided(value.shape, value.data.data(), contiguous_strides(value.shape),
                   out.data.data() + position * own[axis], to);
    }
    position += interleave ? 1 : value.shape[static_cast<int>(axis)];
  }
}

namespace split_param {
enum { kX, kNumSplits, kSplitSizes, kAxis };
}

constexpr ParamDef kSplitParams[] = {
    tensor_param("x", kAnyNumber),
    optional_param("num_splits", kInts, std::monostate{}, "this many equal parts"),
    optional_param("split_sizes", kInts, std::monostate{},
                   "the size of each part along the axis; their sum is its size"),
    constant_param("axis", kInts),
};

std::vector<std::int64_t> part_sizes(const OpContext& op, std::int64_t dim) {
  using namespace split_param;
  constexpr std::int64_t kMaxParts = 65536;
  if (op.has(kSplitSizes)) {
    std::vector<std::int64_t> sizes = op.integers(kSplitSizes);
    if (op.has(kNumSplits) && op.integer(kNumSplits) != static_cast<std::int64_t>(sizes.size())) {
      throw Error(fmt::format("num_splits is {} but split_sizes has {} values",
                              op.integer(kNumSplits), sizes.size()));
    }
    std::int64_t sum = 0;
    for (const std::int64_t size : sizes) {
      if (size < 0) throw Error(fmt::format("split_sizes has a {}", size));
      sum += size;
    }
    if (sizes.empty() || sum != dim) {
      throw Error(fmt::format("split_sizes add up to {} but the axis has {} elements", sum, dim));
    }
    return sizes;
  }
  if (!op.has(kNumSplits)) throw Error("neither num_splits nor split_sizes is given");
  const std::int64_t parts = op.integer(kNumSplits);
  if (parts < 1 || parts > kMaxParts || dim % parts != 0) {
    throw Error(fmt::format("{} elements do not split into {} equal parts", dim, parts));
  }
  return std::vector<std::int64_t>(static_cast<std::size_t>(parts), dim / parts);
}

std::vector<Type> infer_split(const OpContext& op) {
  using namespace split_param;
  Shape shape = op.shape(kX);
  const int axis = op.axis(kAxis, shape.rank());
  std::vector<Type> types;
  for (const std::int64_t size : part_sizes(op, op.shape(kX)[axis])) {
    shape[axis] = size;
    types.push_back(Type::tensor(op.dtype(kX), shape));
  }
  return types;
}

template <class T>
void eval_split(const EvalContext<T>& context) {
  using namespace split_param;
  const auto& x = context.input(kX);
  if (x.data.empty()) return;
  const int axis = context.op.axis(kAxis, x.shape.rank());
  const Strides strides = contiguous_strides(x.shape);
  const T* from = x.data.data();
  for (const EvalTensor<T>& part : context.outputs) {
    if (!part.data.empty()) {
      copy_strided(part.shape, from, strides, part.data.data(), contiguous_strides(part.shape));
    }
    from += part.shape[axis] * strides[static_cast<std::size_t>(axis)];
  }
}

bool sample_concat(RandomProgram& random) {
  const Value first = random.value(kAnyNumber, 1);
  const Type type = random.type(first);
  const auto axis = random.integer(0, type.shape.rank() - 1);
  const bool interleave = random.chance(0.3);
  std::vector<Value> values{first};
  for (std::int64_t more = random.integer(0, 2); more > 0; --more) {
    Type next = type;
    if (!interleave) next.shape[static_cast<int>(axis)] = random.integer(1, 4);
    values.push_back(random.value_of(next));
  }
  return random.emit(OpKind::concat,
                     {{"values", values},
                      {"axis", random.chance(0.3) ? axis - type.shape.rank() : axis},
                      {"interleave", interleave}});
}

bool sample_split(RandomProgram& random) {
  const Value x = random.value(kAnyNumber, 1);
  const Shape shape = random.shape_of(x);
  const auto axis = random.integer(0, shape.rank() - 1);
  const std::int64_t dim = shape[static_cast<int>(axis)];
  const std::int64_t parts = dim % 2 == 0 ? 2 : dim % 3 == 0 ? 3 : 1;
  if (random.chance(0.5)) {
    return random.emit(OpKind::split, {{"x", x}, {"num_splits", parts}, {"axis", axis}});
  }
  std::vector<std::int64_t> sizes;
  for (std::int64_t left = dim; left > 0; left -= sizes.back())
    sizes.push_back(random.integer(1, left));
  return random.emit(OpKind::split, {{"x", x}, {"split_sizes", sizes}, {"axis", axis}});
}

}  // namespace

constinit const OpDef op_concat = {
    .kind = OpKind::concat,
    .name = "concat",
    .doc = "The values one after the other along `axis`.",
    .params = kConcatParams,
    .infer = infer_concat,
    .eval_real = eval_concat,
    .eval_complex = eval_concat,
    .tolerance = {.ulps = 0, .sums = 0},
    .sample = sample_concat,
};

constinit const OpDef op_split = {
    .kind = OpKind::split,
    .name = "split",
    .doc = "x cut into parts along `axis`, one result each: in equal parts, or of given sizes.",
    .params = kSplitParams,
    .infer = infer_split,
    .eval_real = eval_split,
    .eval_complex = eval_split,
    .tolerance = {.ulps = 0, .sums = 0},
    .sample = sample_split,
};

}  // namespace anemone::mil

// Operations that change only the shape: identity, reshape, expand_dims, squeeze, transpose.
#include <fmt/format.h>

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/mil/ops/common.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

constexpr ParamDef kIdentityParams[] = {tensor_param("x", kAnyNumber)};

constexpr ParamDef kReshapeParams[] = {
    tensor_param("x", kAnyNumber),
    constant_param("shape", kInts,
                   "one dimension may be −1 (what is left over); 0 copies the dimension of x, and "
                   "then the rank must "
                   "be that of x"),
};

std::vector<Type> infer_reshape(const OpContext& op) {
  const Shape& from = op.shape(0);
  const std::vector<std::int64_t> wanted = op.integers(1);
  const std::int64_t elements = from.elements();
  const auto mismatch = [&] {
    return Error(fmt::format("{} has {} elements and cannot become {}", from.to_string(), elements,
                             Shape(wanted).to_string()));
  };
  Shape to;
  int open = -1;
  std::int64_t product = 1;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    std::int64_t dim = wanted[i];
    if (dim == 0) {
      if (wanted.size() != static_cast<std::size_t>(from.rank())) {
        throw Error(fmt::format("shape has a 0 but {} dimensions where x has {}", wanted.size(),
                                from.rank()));
      }
      dim = from[static_cast<int>(i)];
    }
    if (dim < -1) throw Error(fmt::format("shape has a dimension of {}", dim));
    to.push_back(dim);
    if (dim == -1) {
      if (open >= 0) throw Error("shape has more than one -1");
      open = static_cast<int>(i);
      continue;
    }
    if (dim > 0 && product > elements / dim) throw mismatch();
    product *= dim;
  }
  if (open >= 0) {
    if (product == 0 || elements % product != 0) throw mismatch();
    to[open] = elements / product;
  } else if (product != elements) {
    throw mismatch();
  }
  return {Type::tensor(op.dtype(0), to)};
}

constexpr ParamDef kExpandParams[] = {
    tensor_param("x", kAnyNumber),
    constant_param("axes", kInts, "positions in the result"),
};

std::vector<Type> infer_expand(const OpContext& op) {
  Shape shape = op.shape(0);
  const std::vector<std::int64_t> given = op.integers(1);
  if (given.size() + static_cast<std::size_t>(shape.rank()) > Shape::kMaxRank) {
    throw Error(fmt::format("{} axes more than the {} of x are more than {}", given.size(),
                            shape.rank(), Shape::kMaxRank));
  }
  std::vector<int> axes = checked_axes(given, shape.rank() + static_cast<int>(given.size()));
  std::sort(axes.begin(), axes.end());
  for (const int axis : axes) shape.insert(axis, 1);
  return {Type::tensor(op.dtype(0), shape)};
}

constexpr ParamDef kSqueezeParams[] = {
    tensor_param("x", kAnyNumber),
    optional_param("axes", kInts, std::monostate{},
                   "default: every axis of size 1; a given axis of another size stays"),
};

std::vector<Type> infer_squeeze(const OpContext& op) {
  Shape shape = op.shape(0);
  std::vector<int> axes;
  if (op.has(1)) {
    axes = checked_axes(op.integers(1), shape.rank());
    std::sort(axes.begin(), axes.end());
  } else {
    for (int axis = 0; axis < shape.rank(); ++axis) axes.push_back(axis);
  }
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    if (shape[*axis] == 1) shape.erase(*axis);
  }
  return {Type::tensor(op.dtype(0), shape)};
}

constexpr ParamDef kTransposeParams[] = {
    tensor_param("x", kAnyNumber),
    constant_param("perm", kInts, "axis i of the result is axis perm[i] of x"),
};

std::vector<int> permutation(const OpContext& op) {
  const int rank = op.shape(0).rank();
  std::vector<int> perm = checked_axes(op.integers(1), rank);
  if (perm.size() != static_cast<std::size_t>(rank)) {
    throw Error(fmt::format("perm has {} values where x has {} dimensions", perm.size(), rank));
  }
  return perm;
}

std::vector<Type> infer_transpose(const OpContext& op) {
  Shape shape;
  for (const int axis : permutation(op)) shape.push_back(op.shape(0)[axis]);
  return {Type::tensor(op.dtype(0), shape)};
}

template <class T>
void eval_transpose(const EvalContext<T>& context) {
  const auto& out = context.output();
  const Strides own = contiguous_strides(context.input(0).shape);
  Strides from{};
  std::size_t i = 0;
  for (const int axis : permutation(context.op)) from[i++] = own[static_cast<std::size_t>(axis)];
  copy_strided(out.shape, context.input(0).data.data(), from, out.data.data(),
               contiguous_strides(out.shape));
}

bool sample_identity(RandomProgram& random) {
  return random.emit(OpKind::identity, {{"x", random.value(kAnyNumber)}});
}

// Two neighbours merged, or one dimension cut in two, or all in one; one dimension perhaps as -1.
bool sample_reshape(RandomProgram& random) {
  const Value x = random.value(kAnyNumber);
  Shape to = random.shape_of(x);
  for (int change = 0; change < 2; ++change) {
    const int rank = to.rank();
    if (rank > 1 && random.chance(0.5)) {
      const int axis = static_cast<int>(random.integer(0, rank - 2));
      to[axis] *= to[axis + 1];
      to.erase(axis + 1);
    } else if (rank > 0 && rank < 5) {
      const int axis = static_cast<int>(random.integer(0, rank - 1));
      const std::int64_t factor = to[axis] % 2 == 0 ? 2 : to[axis] % 3 == 0 ? 3 : 1;
      to[axis] /= factor;
      to.insert(axis, factor);
    }
  }
  std::vector<std::int64_t> dims(to.begin(), to.end());
  if (!dims.empty() && random.chance(0.3)) {
    dims[static_cast<std::size_t>(random.integer(0, to.rank() - 1))] = -1;
  }
  return random.emit(OpKind::reshape, {{"x", x}, {"shape", dims}});
}

bool sample_expand(RandomProgram& random) {
  const Value x = random.value(kAnyNumber, 0, 3);
  const auto count = random.integer(1, 4 - random.shape_of(x).rank());
  std::vector<std::int64_t> axes =
      random.permutation(random.shape_of(x).rank() + static_cast<int>(count));
  axes.resize(static_cast<std::size_t>(count));
  return random.emit(OpKind::expand_dims, {{"x", x}, {"axes", axes}});
}

bool sample_squeeze(RandomProgram& random) {
  const Value x = random.value(kAnyNumber, 1);
  if (random.chance(0.3)) return random.emit(OpKind::squeeze, {{"x", x}});
  return random.emit(OpKind::squeeze,
                     {{"x", x}, {"axes", random.subset(random.shape_of(x).rank())}});
}

bool sample_transpose(RandomProgram& random) {
  const Value x = random.value(kAnyNumber, 1, 5);
  return random.emit(OpKind::transpose,
                     {{"x", x}, {"perm", random.permutation(random.shape_of(x).rank())}});
}

constexpr Tolerance kExact{.ulps = 0, .sums = 0};

}  // namespace

constinit const OpDef op_identity = {
    .kind = OpKind::identity,
    .name = "identity",
    .doc = "x itself, under another name.",
    .params = kIdentityParams,
    .infer = infer_like_first,
    .eval_real = eval_copy,
    .eval_complex = eval_copy,
    .tolerance = kExact,
    .sample = sample_identity,
};

constinit const OpDef op_reshape = {
    .kind = OpKind::reshape,
    .name = "reshape",
    .doc = "The elements of x, in their order, as a tensor of another shape.",
    .params = kReshapeParams,
    .infer = infer_reshape,
    .eval_real = eval_copy,
    .eval_complex = eval_copy,
    .tolerance = kExact,
    .sample = sample_reshape,
};

constinit const OpDef op_expand_dims = {
    .kind = OpKind::expand_dims,
    .name = "expand_dims",
    .doc = "x with new axes of size 1.",
    .params = kExpandParams,
    .infer = infer_expand,
    .eval_real = eval_copy,
    .eval_complex = eval_copy,
    .tolerance = kExact,
    .sample = sample_expand,
};

constinit const OpDef op_squeeze = {
    .kind = OpKind::squeeze,
    .name = "squeeze",
    .doc = "x without axes of size 1.",
    .params = kSqueezeParams,
    .infer = infer_squeeze,
    .eval_real = eval_copy,
    .eval_complex = eval_copy,
    .tolerance = kExact,
    .sample = sample_squeeze,
};

constinit const OpDef op_transpose = {
    .kind = OpKind::transpose,
    .name = "transpose",
    .doc = "x with its axes in another order.",
    .params = kTransposeParams,
    .infer = infer_transpose,
    .eval_real = eval_transpose,
    .eval_complex = eval_transpose,
    .tolerance = kExact,
    .sample = sample_transpose,
};

}  // namespace anemone::mil

// matmul: products of matrices, batched with broadcasting.
#include <fmt/format.h>

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/mil/ops/common.h"
#include "anemone/mil/ops/product.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

enum Param { kX, kY, kTransposeX, kTransposeY };

constexpr ParamDef kParams[] = {
    tensor_param("x", kNumbers, "[…, M, K], or [K]"),
    tensor_param("y", kNumbers, "[…, K, N], or [K]"),
    optional_param("transpose_x", kBool, false, "x is […, K, M]"),
    optional_param("transpose_y", kBool, false, "y is […, N, K]"),
};

// The operands as matrices: vectors get a dimension of 1, batches are broadcast.
struct Plan {
  Shape x, y, batch, out;
  bool transpose_x, transpose_y;
  std::int64_t m, n, k;
};

Shape leading(const Shape& shape) { return Shape(shape.dims().first(shape.dims().size() - 2)); }

Shape as_matrix(const OpContext& op, int param, bool transposed, int insert_at) {
  Shape shape = op.shape(param);
  const std::string_view name = op.def().params[static_cast<std::size_t>(param)].name;
  if (shape.rank() == 0) throw Error(fmt::format("{} is a scalar", name), {}, "a matrix or vector");
  if (shape.rank() == 1) {
    if (transposed) throw Error(fmt::format("{} is a vector, which has no transpose", name));
    shape.insert(insert_at, 1);
  }
  return shape;
}

Plan plan(const OpContext& op) {
  Plan p;
  p.transpose_x = op.boolean(kTransposeX);
  p.transpose_y = op.boolean(kTransposeY);
  p.x = as_matrix(op, kX, p.transpose_x, 0);
  p.y = as_matrix(op, kY, p.transpose_y, 1);
  const int rx = p.x.rank(), ry = p.y.rank();
  p.m = p.x[rx - (p.transpose_x ? 1 : 2)];
  p.k = p.x[rx - (p.transpose_x ? 2 : 1)];
  p.n = p.y[ry - (p.transpose_y ? 2 : 1)];
  const std::int64_t inner = p.y[ry - (p.transpose_y ? 1 : 2)];
  if (inner != p.k) {
    throw Error(fmt::format("x {} and y {} do not fit: {} columns against {} rows",
                            op.shape(kX).to_string(), op.shape(kY).to_string(), p.k, inner));
  }
  p.batch = broadcast_shapes(leading(p.x), leading(p.y));
  p.out = p.batch;
  if (op.shape(kX).rank() > 1) p.out.push_back(p.m);
  if (op.shape(kY).rank() > 1) p.out.push_back(p.n);
  return p;
}

std::vector<Type> infer(const OpContext& op) {
  return {Type::tensor(same_dtype(op, kX, kY), plan(op).out)};
}

std::int64_t terms(const OpContext& op) { return plan(op).k; }

template <class T>
void eval(const EvalContext<T>& context) {
  const Plan p = plan(context.op);
  T* out = context.output().data.data();
  std::fill_n(out, context.output().data.size(), T(0));
  std::vector<T> turned_x(p.transpose_x ? static_cast<std::size_t>(p.m * p.k) : 0);
  std::vector<T> turned_y(p.transpose_y ? static_cast<std::size_t>(p.n * p.k) : 0);
  const auto multiply = [&](const T* x, const T* y) {
    if (p.transpose_x) {
      transpose_matrix(p.k, p.m, x, turned_x.data());
      x = turned_x.data();
    }
    if (p.transpose_y) {
      transpose_matrix(p.n, p.k, y, turned_y.data());
      y = turned_y.data();
    }
    add_product(context, p.m, p.n, p.k, x, y, out);
    out += p.m * p.n;
  };
  // Strides over matrices, not elements.
  const Strides from_x = broadcast_strides(leading(p.x), p.batch);
  const Strides from_y = broadcast_strides(leading(p.y), p.batch);
  for_each_run<2>(p.batch, {from_x, from_y},
                  [&](const auto& at, std::int64_t count, const auto& step) {
                    for (std::int64_t i = 0; i < count; ++i) {
                      multiply(context.input(kX).data.data() + (at[0] + i * step[0]) * p.m * p.k,
                               context.input(kY).data.data() + (at[1] + i * step[1]) * p.n * p.k);
                    }
                  });
}

// y's shape is made to fit x: the same inner dimension, and a batch that broadcasts.
bool sample(RandomProgram& random) {
  const Value x = random.value(kNumbers, 1, 4);
  const Shape& shape = random.shape_of(x);
  const bool transpose_x = shape.rank() > 1 && random.chance(0.3);
  const bool transpose_y = random.chance(0.3);
  const std::int64_t k = shape[shape.rank() - (transpose_x ? 2 : 1)], n = random.integer(1, 6);
  Shape other;
  if (shape.rank() > 2 && random.chance(0.7)) {
    for (const std::int64_t dim : leading(shape)) other.push_back(random.chance(0.3) ? 1 : dim);
  }
  other.push_back(transpose_y ? n : k);
  other.push_back(transpose_y ? k : n);
  const Value y = random.value_of(Type::tensor(random.type(x).dtype, other));
  return random.emit(
      OpKind::matmul,
      {{"x", x}, {"y", y}, {"transpose_x", transpose_x}, {"transpose_y", transpose_y}});
}

}  // namespace

constinit const OpDef op_matmul = {
    .kind = OpKind::matmul,
    .name = "matmul",
    .doc =
        "The matrix product of the last two dimensions, x[…, M, K] · y[…, K, N] → […, M, N]; the "
        "dimensions "
        "before them broadcast. A vector x counts as [1, K] and a vector y as [K, 1], and the 1 is "
        "dropped from "
        "the result.",
    .params = kParams,
    .infer = infer,
    .eval_real = eval,
    .eval_complex = eval,
    .tolerance = {.ulps = 1, .sums = 1, .magnitude_from_absolute_inputs = true},
    .terms = terms,
    .sample = sample,
};

}  // namespace anemone::mil

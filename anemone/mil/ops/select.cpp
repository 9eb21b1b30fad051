// select: one of two tensors, element by element.
#include "anemone/mil/ops/common.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

enum Param { kCond, kA, kB };

constexpr ParamDef kParams[] = {
    tensor_param("cond", kBool),
    tensor_param("a", kAnyNumber, "taken where cond is true"),
    tensor_param("b", kAnyNumber, "taken where it is false; of a's element type"),
};

std::vector<Type> infer(const OpContext& op) {
  const DType dtype = same_dtype(op, kA, kB);
  return {Type::tensor(
      dtype, broadcast_shapes(op.shape(kCond), broadcast_shapes(op.shape(kA), op.shape(kB))))};
}

template <class T>
void eval(const EvalContext<T>& context) {
  const auto &cond = context.input(kCond), &a = context.input(kA), &b = context.input(kB);
  const auto& out = context.output();
  const auto as_output = [&](const EvalTensor<const T>& tensor) {
    return broadcast_strides(tensor.shape, out.shape);
  };
  for_each_run<4>(
      out.shape, {contiguous_strides(out.shape), as_output(cond), as_output(a), as_output(b)},
      [&](const auto& at, std::int64_t count, const auto& step) {
        T* to = out.data.data() + at[0];
        const T* when = cond.data.data() + at[1];
        const T *yes = a.data.data() + at[2], *no = b.data.data() + at[3];
        for (std::int64_t i = 0; i < count; ++i) {
          to[i * step[0]] = real_part(when[i * step[1]]) != 0 ? yes[i * step[2]] : no[i * step[3]];
        }
      });
}

bool sample(RandomProgram& random) {
  const Value a = random.value(kAnyNumber), b = random.partner(a);
  const Value cond = random.value_of(Type::tensor(DType::boolean, random.shape_of(a)));
  return random.emit(OpKind::select, {{"cond", cond}, {"a", a}, {"b", b}});
}

}  // namespace

constinit const OpDef op_select = {
    .kind = OpKind::select,
    .name = "select",
    .doc = "a where cond is true, else b, with broadcasting.",
    .params = kParams,
    .infer = infer,
    .eval_real = eval,
    .eval_complex = eval,
    .tolerance = {.ulps = 0, .sums = 0},
    .sample = sample,
};

}  // namespace anemone::mil

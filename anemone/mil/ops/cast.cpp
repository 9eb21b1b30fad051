// cast: another element type.
#include <cmath>

#include "anemone/base/error.h"
#include "anemone/mil/ops/common.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

enum Param { kX, kDtype };

constexpr ParamDef kParams[] = {
    tensor_param("x", kAnyNumber),
    constant_param("dtype", kString, "the name of the new element type"),
};

DType target(const OpContext& op) {
  const std::string name = op.string(kDtype);
#define ANEMONE_MATCH(type, text, bytes) \
  if (name == (text) && kAnyNumber.contains(DType::type)) return DType::type;
  ANEMONE_DTYPES(ANEMONE_MATCH)
#undef ANEMONE_MATCH
  throw Error("dtype \"" + name + "\"", {}, kAnyNumber.to_string());
}

std::vector<Type> infer(const OpContext& op) { return {Type::tensor(target(op), op.shape(kX))}; }

// The caller rounds reals to the type; derivatives are 0 through integers and pass through floats.
template <class T>
void eval(const EvalContext<T>& context) {
  const DType to = target(context.op);
  const auto in = context.input(kX).data;
  const auto out = context.output().data;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (is_float(to)) {
      out[i] = in[i];
    } else {
      const double value = real_part(in[i]);
      out[i] = T(to == DType::boolean ? (value != 0 ? 1.0 : 0.0) : std::trunc(value));
    }
  }
}

// To an integer only what every engine computes alike: elsewhere the last bit decides.
bool sample(RandomProgram& random) {
  const Value x = random.value(kAnyNumber);
  const bool step = random.is_exact(x) && random.chance(0.5);
  const char* to = step ? (random.chance(0.5) ? "int32" : "bool") : dtype_name(random.float_type());
  return random.emit(OpKind::cast, {{"x", x}, {"dtype", to}});
}

}  // namespace

constinit const OpDef op_cast = {
    .kind = OpKind::cast,
    .name = "cast",
    .doc =
        "x with another element type. To a float: to the nearest, ties to even. To an integer: "
        "toward zero, and "
        "what is out of range becomes the nearest number there is (NaN becomes 0). To bool: "
        "whether x is not 0.",
    .params = kParams,
    .infer = infer,
    .eval_real = eval,
    .eval_complex = eval,
    .tolerance = {.ulps = 1, .sums = 0},
    .sample = sample,
};

}  // namespace anemone::mil

// const: a value written in the program, in a blob file beside it, or in the weight store.
#include "anemone/base/error.h"
#include "anemone/mil/ops/common.h"

namespace anemone::mil {
namespace {

std::vector<Type> infer(const OpContext& op) {
  const auto& constant = op.operation().constant;
  if (constant == nullptr) throw Error("val is missing");
  return {constant->type()};
}

}  // namespace

constinit const OpDef op_const_ = {
    .kind = OpKind::const_,
    .name = "const",
    .doc =
        "A constant: the attribute `val`. Its numbers stand in the text, in a blob file "
        "(`BLOBFILE`) or in the "
        "weight store.",
    .params = {},
    .infer = infer,
    .eval_real = nullptr,
    .eval_complex = nullptr,
};

}  // namespace anemone::mil

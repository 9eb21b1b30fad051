// Result types of an operation: the checks that are the same for every operation, then its own
// inference.
#include <fmt/format.h>

#include "anemone/base/error.h"
#include "anemone/mil/op_def.h"
#include "anemone/mil/ops/common.h"
#include "anemone/mil/verifier.h"

namespace anemone::mil {
namespace {

// Inference and evaluation multiply dimensions: beyond this a shape is an attack or a mistake.
constexpr std::int64_t kMostElements = std::int64_t{1} << 40;

void check_shape(const Type& type, std::string_view what) {
  if (!type.is_tensor()) {
    throw Error(
        fmt::format("{} is a {}; operations take and give tensors", what, type.to_string()));
  }
  if (!type.shape.is_static()) {
    throw Error(fmt::format("{} has an unknown dimension ({}); only fixed shapes can be used", what,
                            type.shape.to_string()));
  }
  const auto elements = type.shape.checked_elements();
  if (!elements.has_value() || *elements > kMostElements) {
    throw Error(fmt::format("{} is too large: {}", what, type.shape.to_string()));
  }
}

void check_argument(const OpContext& op, int param, int index, const ParamDef& def) {
  const Type& type = op.type(param, index);
  const std::string what =
      def.arity == Arity::variadic ? fmt::format("{}[{}]", def.name, index) : std::string(def.name);
  check_shape(type, what);
  if (!def.types.contains(type.dtype)) {
    throw Error(fmt::format("{} is {}", what, type.to_string()), {}, def.types.to_string());
  }
}

void check_arguments(const OpContext& op) {
  const auto& params = op.def().params;
  if (op.operation().arguments.size() > params.size()) throw Error("too many arguments");
  for (int p = 0; p < static_cast<int>(params.size()); ++p) {
    const ParamDef& def = params[static_cast<std::size_t>(p)];
    if (!op.has(p)) {
      if (def.presence == Presence::required) throw Error(fmt::format("{} is missing", def.name));
      continue;
    }
    if (def.arity == Arity::one && op.count(p) != 1) {
      throw Error(fmt::format("{} takes one value, not {}", def.name, op.count(p)));
    }
    for (int i = 0; i < op.count(p); ++i) check_argument(op, p, i, def);
    if (def.role == ParamRole::constant) op.constant(p);
  }
}

}  // namespace

std::vector<Type> infer_types(const Function& function, const Operation& op) {
  const OpDef& def = op_def(op.kind);
  const OpContext context(def, function, op);
  try {
    check_arguments(context);
    std::vector<Type> results = def.infer(context);
    if (op.kind != OpKind::const_) {
      for (const Type& type : results) check_shape(type, "the result");
    }
    return results;
  } catch (const Error& error) {
    throw Error(error.problem(), std::string(def.name), error.expected());
  }
}

}  // namespace anemone::mil

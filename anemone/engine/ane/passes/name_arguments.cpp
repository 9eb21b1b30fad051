// Arguments as the compiler wants them (rule 5): each given, none written in place.
#include <fmt/format.h>

#include <map>
#include <optional>
#include <variant>

#include "anemone/engine/ane/passes/function_editor.h"
#include "anemone/engine/ane/passes/legal_pass.h"
#include "anemone/mil/op_def.h"

namespace anemone::engine::ane {
namespace {

using mil::Constant;
using mil::OpContext;
using mil::OpKind;
using mil::ParamDef;

Constant repeated(std::int64_t value, int count) {
  return Constant::int32s(std::vector<std::int64_t>(static_cast<std::size_t>(count), value));
}

bool is_reduction(OpKind kind) {
  return kind == OpKind::reduce_sum || kind == OpKind::reduce_mean || kind == OpKind::reduce_max ||
         kind == OpKind::reduce_log_sum_exp;
}

// Defaults that depend on shapes.
std::optional<Constant> shaped_default(const OpContext& op, std::string_view param) {
  if (op.def().kind == OpKind::conv) {
    const int spatial = op.shape(0).rank() - 2;
    if (param == "strides" || param == "dilations") return repeated(1, spatial);
    if (param == "pad") return repeated(0, 2 * spatial);
  }
  if (is_reduction(op.def().kind) && param == "axes") {
    std::vector<std::int64_t> axes;
    for (int axis = 0; axis < op.shape(0).rank(); ++axis) axes.push_back(axis);
    return Constant::int32s(axes);
  }
  return std::nullopt;
}

std::optional<Constant> default_value(const OpContext& op, const ParamDef& param) {
  if (const auto* truth = std::get_if<bool>(&param.default_value)) return Constant::boolean(*truth);
  if (const auto* integer = std::get_if<std::int64_t>(&param.default_value))
    return Constant::scalar(DType::int32, static_cast<double>(*integer));
  if (const auto* number = std::get_if<double>(&param.default_value))
    return Constant::scalar(op.dtype(0), *number);
  if (const auto* text = std::get_if<std::string_view>(&param.default_value))
    return Constant::string(std::string(*text));
  return shaped_default(op, param.name);
}

class ArgumentNames {
 public:
  explicit ArgumentNames(LegalContext& context)
      : context_(context), function_(context.function), editor_(context.function) {}

  void run() {
    for (mil::Operation& op : editor_.take_operations()) {
      if (op.immediate) {
        immediates_[op.results.front().index] = std::move(op);
        continue;
      }
      if (op.kind != OpKind::const_) {
        name_immediates(op);
        give_defaults(op);
        if (op.kind == OpKind::concat) count_axis_from_front(op);
      }
      if (op.attributes.empty() && !op.results.empty())
        set_name_attribute(op, function_.name_of(op.results.front()));
      editor_.keep(std::move(op));
    }
  }

 private:
  std::string wish(const mil::Operation& op, std::string_view param) const {
    const std::string owner = op.results.empty() ? std::string(mil::op_name(op.kind))
                                                 : function_.name_of(op.results.front());
    return fmt::format("{}_{}", owner, param);
  }

  void name_immediates(const mil::Operation& op) {
    const mil::OpDef& def = mil::op_def(op.kind);
    for (std::size_t p = 0; p < op.arguments.size(); ++p) {
      for (const mil::Value value : op.arguments[p]) {
        const auto found = immediates_.find(value.index);
        if (found == immediates_.end()) continue;
        mil::Operation constant = std::move(found->second);
        immediates_.erase(found);
        constant.immediate = false;
        function_.info(value).name = editor_.unique_name(wish(op, def.params[p].name));
        set_name_attribute(constant, function_.name_of(value));
        editor_.keep(std::move(constant));
      }
    }
  }

  void give_defaults(mil::Operation& op) {
    const mil::OpDef& def = mil::op_def(op.kind);
    op.arguments.resize(def.params.size());
    for (std::size_t p = 0; p < op.arguments.size(); ++p) {
      const ParamDef& param = def.params[p];
      if (!op.arguments[p].empty() || param.presence != mil::Presence::optional) continue;
      std::optional<Constant> value = default_value(OpContext(def, function_, op), param);
      if (!value.has_value()) continue;
      op.arguments[p] = {editor_.constant(wish(op, param.name), std::move(*value))};
    }
  }

  // Rule 9: an axis of 0 or more.
  void count_axis_from_front(mil::Operation& op) {
    const mil::OpDef& def = mil::op_def(op.kind);
    const int param = def.find_param("axis");
    const OpContext given(def, function_, op);
    const std::int64_t axis = given.integer(param);
    if (axis >= 0) return;
    const int rank = function_.type(op.results.front()).shape.rank();
    Constant counted = Constant::scalar(DType::int32, static_cast<double>(axis + rank));
    op.arguments[static_cast<std::size_t>(param)] = {
        editor_.constant(wish(op, "axis"), std::move(counted))};
    context_.note(9, op, "its axis is counted from the front");
  }

  LegalContext& context_;
  mil::Function& function_;
  FunctionEditor editor_;
  std::map<std::int32_t, mil::Operation> immediates_;
};

}  // namespace

void name_arguments(LegalContext& context) { ArgumentNames(context).run(); }

}  // namespace anemone::engine::ane

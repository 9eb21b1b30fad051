// See function_editor.h.
#include "anemone/engine/ane/passes/function_editor.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "anemone/base/error.h"
#include "anemone/mil/op_def.h"
#include "anemone/mil/verifier.h"

namespace anemone::engine::ane {

FunctionEditor::FunctionEditor(mil::Function& function) : function_(function) {
  for (const mil::ValueInfo& info : function.values) taken_.insert(info.name);
}

std::vector<mil::Operation> FunctionEditor::take_operations() {
  return std::exchange(function_.ops, {});
}

std::string FunctionEditor::unique_name(std::string_view wish) {
  std::string name(wish);
  for (int i = 1; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", wish, i);
  return name;
}

void FunctionEditor::keep(mil::Operation op) {
  for (std::size_t i = 0; i < op.results.size(); ++i) {
    mil::ValueInfo& info = function_.info(op.results[i]);
    info.op = static_cast<std::int32_t>(function_.ops.size());
    info.result = static_cast<std::int32_t>(i);
  }
  function_.ops.push_back(std::move(op));
}

mil::Value FunctionEditor::constant(std::string_view name, mil::Constant constant) {
  mil::Operation op = make(mil::OpKind::const_, {});
  const mil::Value value = function_.add_value(unique_name(name), constant.type(), -1, 0);
  op.results = {value};
  op.constant = std::make_shared<const mil::Constant>(std::move(constant));
  set_name_attribute(op, function_.name_of(value));
  keep(std::move(op));
  return value;
}

mil::Value FunctionEditor::number(std::string_view name, double value, mil::Value like) {
  return constant(name, mil::Constant::scalar(function_.type(like).dtype, value));
}

mil::Operation FunctionEditor::make(mil::OpKind kind, Arguments arguments) const {
  const mil::OpDef& def = mil::op_def(kind);
  mil::Operation op;
  op.kind = kind;
  op.arguments.resize(def.params.size());
  for (const auto& [param, value] : arguments) {
    const int index = def.find_param(param);
    ANEMONE_CHECK(index >= 0, "a rewrite names parameters that the operation has");
    op.arguments[static_cast<std::size_t>(index)] = {value};
  }
  return op;
}

mil::Value FunctionEditor::add(mil::OpKind kind, Arguments arguments, std::string_view name) {
  const std::vector<mil::Type> types = mil::infer_types(function_, make(kind, arguments));
  ANEMONE_CHECK(types.size() == 1, "a rewrite makes operations with one result");
  const mil::Value value = function_.add_value(unique_name(name), types.front(), -1, 0);
  define(value, kind, arguments);
  return value;
}

void FunctionEditor::define(mil::Value result, mil::OpKind kind, Arguments arguments) {
  mil::Operation op = make(kind, arguments);
  op.results = {result};
  set_name_attribute(op, function_.name_of(result));
  keep(std::move(op));
}

void FunctionEditor::rename(mil::Value value, const std::string& name) {
  if (function_.name_of(value) == name) return;
  const auto change = [&](mil::Value target, std::string to) {
    const std::int32_t op = function_.info(target).op;
    if (op >= 0 && function_.info(target).result == 0)
      set_name_attribute(function_.ops[static_cast<std::size_t>(op)], to);
    function_.info(target).name = std::move(to);
  };
  for (std::size_t i = 0; i < function_.values.size(); ++i) {
    const mil::Value holder{static_cast<std::int32_t>(i)};
    if (function_.values[i].name == name) change(holder, unique_name(name));
  }
  taken_.erase(function_.name_of(value));
  taken_.insert(name);
  change(value, name);
}

mil::Value argument(const mil::Operation& op, std::string_view param) {
  const int index = mil::op_def(op.kind).find_param(param);
  ANEMONE_CHECK(index >= 0, "an operation is asked for a parameter that it has");
  const auto& values = op.arguments[static_cast<std::size_t>(index)];
  return values.empty() ? mil::Value{} : values.front();
}

void set_name_attribute(mil::Operation& op, const std::string& name) {
  mil::Constant text = mil::Constant::string(name);
  mil::Attribute value{text.type(), std::move(text)};
  for (mil::NamedAttribute& attribute : op.attributes) {
    if (attribute.name != "name") continue;
    attribute.value = std::move(value);
    return;
  }
  op.attributes.push_back({"name", std::move(value)});
}

}  // namespace anemone::engine::ane

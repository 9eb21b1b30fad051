// Lookups in functions and programs.
#include "anemone/mil/ir.h"

#include <algorithm>
#include <utility>

#include "anemone/base/error.h"

namespace anemone::mil {

const Operation* Function::definition(Value value) const {
  const std::int32_t op = info(value).op;
  return op < 0 ? nullptr : &ops[static_cast<std::size_t>(op)];
}

const Constant* Function::constant(Value value) const {
  const Operation* op = definition(value);
  return op != nullptr && op->kind == OpKind::const_ ? op->constant.get() : nullptr;
}

Value Function::add_value(std::string value_name, Type type, std::int32_t op, std::int32_t result,
                          SourceLocation where) {
  ValueInfo info;
  info.name = std::move(value_name);
  info.type = std::move(type);
  info.op = op;
  info.result = result;
  info.location = where;
  values.push_back(std::move(info));
  return {static_cast<std::int32_t>(values.size()) - 1};
}

const Function* Program::find(std::string_view name) const {
  const auto found = std::find_if(functions.begin(), functions.end(),
                                  [&](const Function& f) { return f.name == name; });
  return found == functions.end() ? nullptr : &*found;
}

const Function& Program::main() const {
  if (const Function* function = find("main")) return *function;
  if (functions.size() == 1) return functions.front();
  if (functions.empty()) throw Error("the program has no function");
  std::string names;
  for (const Function& function : functions) names += (names.empty() ? "" : ", ") + function.name;
  throw Error("the program has several functions and none is called main: " + names);
}

Function& Program::main() { return const_cast<Function&>(std::as_const(*this).main()); }

}  // namespace anemone::mil

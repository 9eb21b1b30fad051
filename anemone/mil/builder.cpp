// The builder: names, constants for plain values, and type inference at every operation.
#include "anemone/mil/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/mil/op_def.h"
#include "anemone/mil/verifier.h"

namespace anemone::mil {
namespace {

std::string identifier(std::string_view wish) {
  std::string name(wish);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') c = '_';
  }
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0)
    name.insert(name.begin(), '_');
  return name;
}

void set_name_attribute(Operation& op, const std::string& name) {
  Attribute value{Type::tensor(DType::string), Constant::string(name)};
  for (NamedAttribute& attribute : op.attributes) {
    if (attribute.name == "name") {
      attribute.value = std::move(value);
      return;
    }
  }
  op.attributes.push_back({"name", std::move(value)});
}

using Payload = Builder::Argument::Payload;

// The element type a plain number becomes: the only one the parameter takes, else that of the first
// float tensor among the arguments, else of the first tensor.
DType number_type(const ParamDef& param, const Builder& builder,
                  std::span<const Builder::Argument> arguments) {
  std::optional<DType> choice;
  for (const Builder::Argument& argument : arguments) {
    std::vector<Value> values;
    if (const auto* one = std::get_if<Value>(&argument.payload)) values = {*one};
    if (const auto* many = std::get_if<std::vector<Value>>(&argument.payload)) values = *many;
    for (const Value value : values) {
      const DType dtype = builder.dtype(value);
      if (!param.types.contains(dtype)) continue;
      if (!choice.has_value() || (is_float(dtype) && !is_float(*choice))) choice = dtype;
    }
  }
  if (choice.has_value()) return *choice;
  for (const DType dtype : {DType::int32, DType::fp32, DType::fp16, DType::boolean}) {
    if (param.types.contains(dtype)) return dtype;
  }
  throw Error(fmt::format("{} takes no numbers", param.name), {}, param.types.to_string());
}

Constant make_constant(const ParamDef& param, const Payload& payload, const Builder& builder,
                       std::span<const Builder::Argument> arguments) {
  if (const auto* constant = std::get_if<Constant>(&payload)) return *constant;
  if (const auto* text = std::get_if<std::string>(&payload)) return Constant::string(*text);
  if (const auto* truth = std::get_if<bool>(&payload)) return Constant::boolean(*truth);
  const DType dtype = number_type(param, builder, arguments);
  if (const auto* number = std::get_if<double>(&payload)) return Constant::scalar(dtype, *number);
  if (const auto* integer = std::get_if<std::int64_t>(&payload)) {
    return Constant::scalar(dtype, static_cast<double>(*integer));
  }
  const auto& list = std::get<std::vector<std::int64_t>>(payload);
  const std::vector<double> numbers(list.begin(), list.end());
  return Constant::numbers(dtype, {static_cast<std::int64_t>(numbers.size())}, numbers);
}

}  // namespace

Builder::Builder(Program& program, std::string function_name, std::string opset)
    : program_(program), index_(program.functions.size()) {
  if (program.find(function_name) != nullptr) {
    throw Error("there are two functions called " + function_name);
  }
  Function function;
  function.name = std::move(function_name);
  function.opset = std::move(opset);
  program_.functions.push_back(std::move(function));
}

std::string Builder::unique_name(std::string_view wish) {
  std::string base = identifier(wish);
  if (names_.try_emplace(base, 0).second) return base;
  while (true) {
    std::string name = fmt::format("{}_{}", base, names_[base]++);
    if (names_.try_emplace(name, 0).second) return name;
  }
}

std::vector<Value> Builder::append(Operation op, std::vector<Type> types, std::string_view name) {
  Function& f = function();
  const std::string base(name.empty() ? op_name(op.kind) : name);
  const auto index = static_cast<std::int32_t>(f.ops.size());
  std::string attribute;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string own = unique_name(types.size() == 1 ? base : fmt::format("{}_{}", base, i));
    if (i == 0) attribute = own;
    op.results.push_back(
        f.add_value(own, std::move(types[i]), index, static_cast<std::int32_t>(i)));
  }
  set_name_attribute(op, attribute);
  f.ops.push_back(std::move(op));
  return f.ops.back().results;
}

Value Builder::input(std::string name, Type type) {
  Function& f = function();
  if (identifier(name) != name || names_.find(name) != names_.end()) {
    throw Error("an input called \"" + name + "\"", f.name,
                "an identifier that no other value has");
  }
  names_.try_emplace(name, 0);
  const Value value = f.add_value(std::move(name), std::move(type), -1, 0);
  f.inputs.push_back(value);
  return value;
}

Value Builder::constant(Constant value, std::string_view name) {
  Operation op;
  op.kind = OpKind::const_;
  Type type = value.type();
  op.constant = std::make_shared<const Constant>(std::move(value));
  return append(std::move(op), {std::move(type)}, name).front();
}

Value Builder::weight(const WeightRef& ref, Type type, std::string_view name) {
  return constant(Constant(std::move(type), ref), name.empty() ? std::string_view(ref.name) : name);
}

void Builder::rename(Value value, std::string name) {
  Function& f = function();
  names_.erase(f.info(value).name);
  names_.try_emplace(name, 0);
  const std::int32_t op = f.info(value).op;
  if (op >= 0 && f.info(value).result == 0) {
    set_name_attribute(f.ops[static_cast<std::size_t>(op)], name);
  }
  f.info(value).name = std::move(name);
}

void Builder::output(Value value, std::string name) {
  Function& f = function();
  if (identifier(name) != name)
    throw Error("an output called \"" + name + "\"", f.name, "an identifier");
  const auto is_output = [&](Value v) {
    return std::find(f.outputs.begin(), f.outputs.end(), v) != f.outputs.end();
  };
  if (f.info(value).op < 0 || is_output(value)) value = identity({{"x", value}}, name);
  if (f.name_of(value) != name && names_.find(name) != names_.end()) {
    // Whoever has the name gives it up, unless it is a port too.
    const auto holder = std::find_if(f.values.begin(), f.values.end(),
                                     [&](const ValueInfo& info) { return info.name == name; });
    if (holder != f.values.end()) {
      const Value other{static_cast<std::int32_t>(holder - f.values.begin())};
      if (holder->op < 0 || is_output(other)) {
        throw Error("two inputs or outputs are called " + name, f.name);
      }
      rename(other, unique_name(name));
    }
  }
  if (f.name_of(value) != name) rename(value, name);
  f.outputs.push_back(value);
}

std::vector<Value> Builder::emit_all(OpKind kind, std::span<const Argument> arguments,
                                     std::string_view name) {
  const OpDef& def = op_def(kind);
  Operation op;
  op.kind = kind;
  op.arguments.resize(def.params.size());
  const std::string base(name.empty() ? def.name : name);
  for (const Argument& argument : arguments) {
    const int index = def.find_param(argument.param);
    if (index < 0)
      throw Error(fmt::format("no parameter is called {}", argument.param), std::string(def.name));
    auto& values = op.arguments[static_cast<std::size_t>(index)];
    if (!values.empty())
      throw Error(fmt::format("{} is given twice", argument.param), std::string(def.name));
    if (const auto* one = std::get_if<Value>(&argument.payload)) {
      values = {*one};
    } else if (const auto* many = std::get_if<std::vector<Value>>(&argument.payload)) {
      values = *many;
    } else {
      const ParamDef& param = def.params[static_cast<std::size_t>(index)];
      values = {constant(make_constant(param, argument.payload, *this, arguments),
                         fmt::format("{}_{}", base, argument.param))};
    }
  }
  std::vector<Type> types = infer_types(function(), op);
  return append(std::move(op), std::move(types), base);
}

Value Builder::emit(OpKind kind, Arguments arguments, std::string_view name) {
  const std::vector<Value> results = emit_all(kind, arguments, name);
  if (results.size() != 1) {
    throw Error(fmt::format("{} results where one is expected", results.size()),
                std::string(op_name(kind)));
  }
  return results.front();
}

}  // namespace anemone::mil

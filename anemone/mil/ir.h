// The intermediate representation: a Program owns functions; a function owns a flat list of
// operations in an order in which every value is defined before it is used (SSA). A Value is an
// index into its function.
//
// An argument always names values. An immediate written in the text (`cast(dtype = string("fp32"),
// …)`) is a const operation marked `immediate`, which the printer writes back inline.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/mil/constant.h"
#include "anemone/mil/op_kind.h"
#include "anemone/mil/type.h"

namespace anemone::mil {

// 1-based; line 0 = no source text.
struct SourceLocation {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

struct Value {
  std::int32_t index = -1;
  bool valid() const { return index >= 0; }
  bool operator==(const Value&) const = default;
};

struct ValueInfo {
  std::string name;
  Type type;
  std::int32_t op = -1;  // index of the operation that defines it, or one of the following
  static constexpr std::int32_t kInput = -1;  // an input of the function
  // Defined by a statement that the parser reported and left out (only in programs with errors):
  // what is known is the declared type, and nothing more is said about it.
  static constexpr std::int32_t kLeftOut = -2;
  std::int32_t result = 0;  // which of that operation's results
  SourceLocation location;
};

struct NamedAttribute {
  std::string name;
  Attribute value;
  bool operator==(const NamedAttribute&) const = default;
};

struct Operation {
  OpKind kind = OpKind::identity;
  // One entry per parameter of the definition, in its order; empty = not given. A variadic
  // parameter (concat's values) holds any number.
  std::vector<std::vector<Value>> arguments;
  std::vector<Value> results;
  std::vector<NamedAttribute> attributes;  // the [name = …] bracket; a const's `val` is `constant`
  std::shared_ptr<const Constant> constant;  // const_ only
  bool immediate = false;                    // const_ only: written inline
  SourceLocation location;
};

// A statement whose operation has no definition here, as far as it is understood; its results are
// values that nothing here defines (kLeftOut). The parser keeps such statements for who asks.
struct UnknownOperation {
  struct Argument {
    std::string name;
    std::vector<Value> values;  // not valid: written in place
  };
  std::string name;
  std::vector<Argument> arguments;
  std::vector<Value> results;
  SourceLocation location;
};

struct Function {
  std::string name = "main";
  std::string opset = "ios18";
  std::vector<Value> inputs;
  std::vector<Value> outputs;
  std::vector<Operation> ops;
  std::vector<ValueInfo> values;
  std::vector<NamedAttribute> attributes;
  std::vector<UnknownOperation> unknown_ops;  // empty unless asked for (parser.h)
  SourceLocation location;

  const ValueInfo& info(Value value) const { return values[static_cast<std::size_t>(value.index)]; }
  ValueInfo& info(Value value) { return values[static_cast<std::size_t>(value.index)]; }
  const Type& type(Value value) const { return info(value).type; }
  const std::string& name_of(Value value) const { return info(value).name; }
  // The operation that defines `value`, or null for an input.
  const Operation* definition(Value value) const;
  // The constant behind `value`, or null when it is not defined by a const.
  const Constant* constant(Value value) const;
  Value add_value(std::string name, Type type, std::int32_t op, std::int32_t result,
                  SourceLocation location = {});
};

struct Program {
  std::string version = "1.3";  // 1.0 spells scalars tensor<T, []>, 1.3 spells them T
  std::vector<NamedAttribute> attributes;
  std::vector<Function> functions;

  const Function* find(std::string_view name) const;
  // "main", or the only function; throws Error otherwise.
  const Function& main() const;
  Function& main();
};

}  // namespace anemone::mil

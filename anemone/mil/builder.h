// Builds functions operation by operation, with types inferred and arguments checked on the way.
//
// There is a method for each operation of ops.inc:
//   Value y = b.softmax({{"x", x}, {"axis", -1}}, "probs");
// Arguments are named as in MIL text; plain C++ values become constants of the type that the
// parameter takes (a number takes the element type of the operation's first float tensor where the
// parameter allows several).
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "anemone/mil/ir.h"

namespace anemone::mil {

class Builder {
 public:
  struct Argument {
    using Number = double;
    using Payload = std::variant<Value, std::vector<Value>, bool, std::int64_t, double, std::string,
                                 std::vector<std::int64_t>, Constant>;
    std::string_view param;
    Payload payload;

    Argument(std::string_view p, Value v) : param(p), payload(v) {}
    Argument(std::string_view p, std::vector<Value> v) : param(p), payload(std::move(v)) {}
    Argument(std::string_view p, bool v) : param(p), payload(v) {}
    Argument(std::string_view p, int v) : param(p), payload(static_cast<std::int64_t>(v)) {}
    Argument(std::string_view p, std::int64_t v) : param(p), payload(v) {}
    Argument(std::string_view p, double v) : param(p), payload(v) {}
    Argument(std::string_view p, const char* v) : param(p), payload(std::string(v)) {}
    Argument(std::string_view p, std::vector<std::int64_t> v) : param(p), payload(std::move(v)) {}
    Argument(std::string_view p, const Shape& v)
        : param(p), payload(std::vector<std::int64_t>(v.begin(), v.end())) {}
    Argument(std::string_view p, Constant v) : param(p), payload(std::move(v)) {}
  };
  using Arguments = std::initializer_list<Argument>;

  // Starts a function of `program`; the program must outlive the builder.
  Builder(Program& program, std::string function_name = "main", std::string opset = "ios18");

  Value input(std::string name, Type type);
  Value constant(Constant value, std::string_view name = {});
  Value weight(const WeightRef& ref, Type type, std::string_view name = {});
  // Makes `value` an output called `name`; a value that is an input or already an output gets an
  // identity op.
  void output(Value value, std::string name);

  // Any operation with one result. `name` is a wish: made unique and a valid identifier; empty =
  // the op's name.
  Value emit(OpKind kind, Arguments arguments, std::string_view name = {});
  std::vector<Value> emit_all(OpKind kind, Arguments arguments, std::string_view name = {}) {
    return emit_all(kind, std::span<const Argument>(arguments.begin(), arguments.size()), name);
  }
  std::vector<Value> emit_all(OpKind kind, std::span<const Argument> arguments,
                              std::string_view name = {});
#define OP(op)                                                \
  Value op(Arguments arguments, std::string_view name = {}) { \
    return emit(OpKind::op, arguments, name);                 \
  }
#include "anemone/mil/ops/ops.inc"
#undef OP

  const Type& type(Value value) const { return function().type(value); }
  const Shape& shape(Value value) const { return type(value).shape; }
  DType dtype(Value value) const { return type(value).dtype; }
  Function& function() { return program_.functions[index_]; }
  const Function& function() const { return program_.functions[index_]; }

 private:
  std::string unique_name(std::string_view wish);
  void rename(Value value, std::string name);
  std::vector<Value> append(Operation op, std::vector<Type> types, std::string_view name);

  Program& program_;
  std::size_t index_;
  std::unordered_map<std::string, std::size_t>
      names_;  // taken, with the next number for a name like it
};

}  // namespace anemone::mil

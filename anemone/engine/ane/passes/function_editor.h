// Rewrites a function operation by operation: takes its operations out and puts back what is kept
// or made, in an order in which every value is defined before its use.
//
//   FunctionEditor editor(function);
//   for (mil::Operation& op : editor.take_operations()) {
//     if (…) editor.define(op.results[0], mil::OpKind::mul, {{"x", a}, {"y", b}});
//     else editor.keep(std::move(op));
//   }
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "anemone/mil/ir.h"

namespace anemone::engine::ane {

class FunctionEditor {
 public:
  using Argument = std::pair<std::string_view, mil::Value>;
  using Arguments = std::initializer_list<Argument>;

  explicit FunctionEditor(mil::Function& function);

  mil::Function& function() { return function_; }
  // The operations, in order; the function has none until some are put back.
  std::vector<mil::Operation> take_operations();

  void keep(mil::Operation op);
  // A const; names are wishes, made unique.
  mil::Value constant(std::string_view name, mil::Constant constant);
  // A constant of the element type of `like`.
  mil::Value number(std::string_view name, double value, mil::Value like);
  // An operation with a result of its own, its type inferred.
  mil::Value add(mil::OpKind kind, Arguments arguments, std::string_view name);
  // An operation whose result is `result`, a value that is there already.
  void define(mil::Value result, mil::OpKind kind, Arguments arguments);
  // Renames a value; whoever has the name gives it up.
  void rename(mil::Value value, const std::string& name);
  std::string unique_name(std::string_view wish);

 private:
  mil::Operation make(mil::OpKind kind, Arguments arguments) const;

  mil::Function& function_;
  std::unordered_set<std::string> taken_;
};

// The value given for a parameter; not valid when there is none.
mil::Value argument(const mil::Operation& op, std::string_view param);
// Sets the [name = …] attribute.
void set_name_attribute(mil::Operation& op, const std::string& name);

}  // namespace anemone::engine::ane

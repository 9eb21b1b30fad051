// The rules of programs beyond those of single operations, which infer_types knows.
#include "anemone/mil/verifier.h"

#include <fmt/format.h>

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "anemone/base/counted.h"
#include "anemone/mil/lexer.h"
#include "anemone/mil/op_def.h"

namespace anemone::mil {
namespace {

// Declared and inferred agree where both know.
bool compatible(const Type& declared, const Type& inferred) {
  if (!declared.is_tensor() || !inferred.is_tensor()) return declared == inferred;
  if (declared.dtype != inferred.dtype || declared.shape.rank() != inferred.shape.rank()) {
    return false;
  }
  for (int i = 0; i < declared.shape.rank(); ++i) {
    if (declared.shape[i] != inferred.shape[i] && declared.shape[i] != Shape::kUnknown)
      return false;
  }
  return true;
}

bool is_fixed(const Type& type) { return !type.is_tensor() || type.shape.is_static(); }

class FunctionVerifier {
 public:
  FunctionVerifier(const Function& function, Diagnostics& diagnostics)
      : function_(function), diagnostics_(diagnostics), defined_(function.values.size()) {}

  void run() {
    if (!is_identifier(function_.name)) {
      error(function_.location,
            "a function's name that is no identifier: \"" + function_.name + "\"");
    }
    check_inputs();
    for (std::size_t i = 0; i < function_.ops.size() && !diagnostics_.full(); ++i) {
      check_operation(function_.ops[i], static_cast<std::int32_t>(i));
    }
    check_outputs();
  }

 private:
  // Programs without text have no lines: say which operation is meant.
  void error(SourceLocation location, std::string message, const Operation* op = nullptr) {
    if (location.line == 0) {
      message += fmt::format(" (in function {}", function_.name);
      if (op != nullptr && !op->results.empty() && exists(op->results.front())) {
        message += fmt::format(", at {}", function_.name_of(op->results.front()));
      }
      message += ")";
    }
    diagnostics_.error(location, std::move(message));
  }

  bool exists(Value value) const {
    return value.valid() && static_cast<std::size_t>(value.index) < function_.values.size();
  }
  bool left_out(Value value) const { return function_.info(value).op == ValueInfo::kLeftOut; }
  bool is_defined(Value value) const {
    return exists(value) && (defined_[static_cast<std::size_t>(value.index)] || left_out(value));
  }

  void check_name(Value value, const Operation* op) {
    const ValueInfo& info = function_.info(value);
    if (!is_identifier(info.name)) {
      error(info.location, fmt::format("a value's name that is no identifier: \"{}\"", info.name),
            op);
    } else if (!names_.emplace(info.name, value).second) {
      error(info.location, fmt::format("'{}' is defined twice", info.name), op);
    }
  }

  void check_inputs() {
    for (const Value input : function_.inputs) {
      if (!exists(input) || function_.info(input).op != ValueInfo::kInput) {
        error(function_.location, "an input that is no input");
        continue;
      }
      const ValueInfo& info = function_.info(input);
      check_name(input, nullptr);
      defined_[static_cast<std::size_t>(input.index)] = true;
      if (!info.type.is_tensor()) {
        error(info.location, fmt::format("input '{}' is a {}; only tensors are supported",
                                         info.name, info.type.to_string()));
      } else if (!is_fixed(info.type)) {
        error(info.location, fmt::format("input '{}' has a flexible shape {}; only fixed shapes "
                                         "are supported",
                                         info.name, info.type.shape.to_string()));
      }
    }
  }

  // True if something is known of every argument, so that types can be inferred.
  bool check_arguments(const Operation& op, bool& complete) {
    for (const auto& values : op.arguments) {
      for (const Value value : values) {
        if (!is_defined(value)) {
          const std::string name = exists(value) ? function_.name_of(value) : "?";
          error(op.location,
                fmt::format("{}: '{}' is used before it is defined", op_name(op.kind), name), &op);
          return false;
        }
        complete &= !left_out(value) && function_.type(value).is_tensor() &&
                    is_fixed(function_.type(value));
      }
    }
    return true;
  }

  void check_results(const Operation& op, std::int32_t index) {
    for (std::size_t i = 0; i < op.results.size(); ++i) {
      const Value result = op.results[i];
      if (!exists(result) || function_.info(result).op != index ||
          function_.info(result).result != static_cast<std::int32_t>(i)) {
        error(op.location, fmt::format("{}: a result that it does not define", op_name(op.kind)),
              &op);
        continue;
      }
      if (!op.immediate) check_name(result, &op);
      defined_[static_cast<std::size_t>(result.index)] = true;
    }
  }

  void check_operation(const Operation& op, std::int32_t index) {
    bool complete = true;
    const bool known = check_arguments(op, complete);
    check_results(op, index);
    if (op.immediate && op.kind != OpKind::const_) {
      error(op.location, "only a const can be immediate", &op);
    }
    if (known && complete) check_types(op);
  }

  void check_types(const Operation& op) {
    std::vector<Type> inferred;
    try {
      inferred = infer_types(function_, op);
    } catch (const Error& problem) {
      error(op.location, problem.what(), &op);
      return;
    }
    if (inferred.size() != op.results.size()) {
      error(op.location,
            fmt::format("{} has {}, not {}", op_name(op.kind), counted(inferred.size(), "result"),
                        op.results.size()),
            &op);
      return;
    }
    for (std::size_t i = 0; i < inferred.size(); ++i) {
      if (!exists(op.results[i])) continue;
      const ValueInfo& info = function_.info(op.results[i]);
      if (compatible(info.type, inferred[i])) continue;
      error(info.location,
            fmt::format("{}: '{}' is declared {} but is {}", op_name(op.kind), info.name,
                        info.type.to_string(), inferred[i].to_string()),
            &op);
    }
  }

  void check_outputs() {
    // After other errors the outputs may be missing for that reason.
    if (function_.outputs.empty() && !diagnostics_.has_errors()) {
      error(function_.location, fmt::format("function '{}' has no outputs", function_.name));
    }
    std::unordered_set<std::int32_t> seen;
    for (const Value output : function_.outputs) {
      if (!is_defined(output)) {
        error(function_.location, "an output that is not defined");
        continue;
      }
      const ValueInfo& info = function_.info(output);
      const Operation* op = function_.definition(output);
      if (op != nullptr && op->immediate) error(op->location, "an output that has no name", op);
      if (!seen.insert(output.index).second) {
        error(info.location, fmt::format("'{}' is an output twice", info.name));
      }
    }
  }

  const Function& function_;
  Diagnostics& diagnostics_;
  std::vector<bool> defined_;
  std::unordered_map<std::string_view, Value> names_;
};

}  // namespace

void verify(const Program& program, Diagnostics& diagnostics) {
  if (program.functions.empty() && !diagnostics.has_errors()) {
    diagnostics.error({}, "the program has no function");
  }
  std::unordered_set<std::string_view> names;
  for (const Function& function : program.functions) {
    if (!names.insert(function.name).second) {
      diagnostics.error(function.location,
                        fmt::format("there are two functions called '{}'", function.name));
    }
    FunctionVerifier(function, diagnostics).run();
  }
}

void verify_or_throw(const Program& program, const std::string& name) {
  Diagnostics diagnostics(name, {});
  verify(program, diagnostics);
  if (!diagnostics.has_errors()) return;
  throw Error(diagnostics.all().front().message, name);
}

}  // namespace anemone::mil

// One function of MIL text: its inputs, statements and outputs.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "anemone/mil/ir.h"
#include "anemone/mil/op_def.h"
#include "anemone/mil/token_stream.h"
#include "anemone/mil/value_parser.h"

namespace anemone::mil {

// Operations of the text that have no definition here: where each name is first used, and how
// often.
struct UnsupportedOp {
  SourceLocation first;
  std::size_t uses = 0;
};
using UnsupportedOps = std::map<std::string_view, UnsupportedOp>;
void report_unsupported(const UnsupportedOps& ops, Diagnostics& diagnostics);

// Any number of [name = value, …] brackets.
void parse_attributes(TokenStream& tokens, ValueParser& values,
                      std::vector<NamedAttribute>& attributes);

bool at_function(const TokenStream& tokens);

class FunctionParser {
 public:
  FunctionParser(TokenStream& tokens, ValueParser& values, Function& function,
                 UnsupportedOps& unsupported)
      : tokens_(tokens), values_(values), function_(function), unsupported_(unsupported) {}

  // Throws SyntaxError where nothing of the function's frame is left to go on with.
  void run();

 private:
  struct Result {
    Type type;
    Token name;
  };

  void parse_inputs();
  void parse_outputs();
  void parse_body();
  void parse_statement();
  void parse_results(std::vector<Result>& results);
  void parse_operation(const std::vector<Result>& results);
  void parse_arguments(const OpDef* def, Operation& op);
  void parse_unknown_arguments(UnknownOperation& op);
  void keep_unknown(UnknownOperation op, const std::vector<Result>& results);
  std::vector<Value> parse_argument(bool keep);
  Value parse_operand(bool keep);
  void take_value_attribute(Operation& op);
  void add_operation(Operation op, const std::vector<Result>& results);
  bool leave_out(const std::vector<Result>& results);
  void skip_statement();
  bool at_end_of_body() const;

  bool define(const Token& name, Value value);  // false (and reported) if the name is taken
  Value use(const Token& name);
  void report_undefined();

  TokenStream& tokens_;
  ValueParser& values_;
  Function& function_;
  UnsupportedOps& unsupported_;
  std::unordered_map<std::string_view, Value> names_;
  std::unordered_set<std::string_view> excused_;  // in text that was skipped: perhaps defined there
  std::vector<Token> undefined_;
};

}  // namespace anemone::mil

// Statements become operations in the order of the text; names are resolved on the way.
#include "anemone/mil/function_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "anemone/base/nearest_name.h"

namespace anemone::mil {

namespace {

std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& candidates) {
  const std::string_view near = nearest_name(name, candidates);
  return near.empty() ? std::string() : fmt::format("; did you mean '{}'?", near);
}

std::vector<std::string_view> op_names() {
  std::vector<std::string_view> names;
  for (const OpDef* def : all_ops()) names.push_back(def->name);
  return names;
}

[[noreturn]] void unknown_parameter(TokenStream& tokens, const OpDef& def, const Token& name) {
  std::vector<std::string_view> names;
  std::string list;
  for (const ParamDef& param : def.params) {
    names.push_back(param.name);
    list += (list.empty() ? "" : ", ") + std::string(param.name);
  }
  const std::string hint = did_you_mean(name.text, names);
  tokens.fail(name.location, fmt::format("{} has no parameter {}{}", def.name, name.describe(),
                                         !hint.empty()  ? hint
                                         : list.empty() ? " (it takes none)"
                                                        : " (it has: " + list + ")"));
}

// A warning only: no operation here depends on the opset.
void check_opset(const Token& opset, Diagnostics& diagnostics) {
  constexpr std::string_view kOpsets[] = {"ios15", "ios16", "ios17", "ios18", "ios26"};
  if (std::find(std::begin(kOpsets), std::end(kOpsets), opset.text) != std::end(kOpsets)) return;
  diagnostics.warning(opset.location, fmt::format("unknown opset {} (known: {})", opset.describe(),
                                                  fmt::join(kOpsets, ", ")));
}

}  // namespace

void report_unsupported(const UnsupportedOps& ops, Diagnostics& diagnostics) {
  const auto names = op_names();
  for (const auto& [name, op] : ops) {
    const std::string uses = op.uses > 1 ? fmt::format(" (used {} times)", op.uses) : "";
    diagnostics.error(op.first, fmt::format("unsupported operation '{}'{}{}", name, uses,
                                            did_you_mean(name, names)));
  }
}

void parse_attributes(TokenStream& tokens, ValueParser& values,
                      std::vector<NamedAttribute>& attributes) {
  std::unordered_set<std::string_view> names;
  while (tokens.accept("[")) {
    while (!tokens.at("]")) {
      const Token name = tokens.expect_identifier("an attribute's name");
      if (!names.insert(name.text).second) {
        tokens.fail(name.location, fmt::format("attribute {} is given twice", name.describe()));
      }
      tokens.expect("=", "behind an attribute's name");
      attributes.push_back({std::string(name.text), values.parse_value()});
      if (!tokens.accept(",")) break;
    }
    tokens.expect("]", "at the end of the attributes");
  }
}

bool at_function(const TokenStream& tokens) {
  return tokens.at_word("func") && tokens.peek_second().kind == TokenKind::identifier;
}

void FunctionParser::run() {
  if (!tokens_.at_word("func")) tokens_.expected("'func' or '}'", {});
  tokens_.take();
  const Token name = tokens_.expect_identifier("a function's name");
  function_.name = std::string(name.text);
  function_.location = name.location;
  tokens_.expect("<", "behind the function's name");
  const Token opset = tokens_.expect_identifier("an opset such as ios18");
  check_opset(opset, tokens_.diagnostics());
  function_.opset = std::string(opset.text);
  tokens_.expect(">", "behind the opset");
  parse_inputs();
  parse_attributes(tokens_, values_, function_.attributes);
  tokens_.expect("{", "at the beginning of the function");
  parse_body();
  tokens_.expect("}", "at the end of the function");
  parse_outputs();
  report_undefined();
}

void FunctionParser::parse_inputs() {
  tokens_.expect("(", "before the inputs");
  if (!tokens_.at(")")) {
    do {
      Type type = values_.parse_type();
      const Token name = tokens_.expect_identifier("an input's name");
      const Value value = function_.add_value(std::string(name.text), std::move(type),
                                              ValueInfo::kInput, 0, name.location);
      if (define(name, value)) function_.inputs.push_back(value);
    } while (tokens_.accept(","));
  }
  tokens_.expect(")", "behind the inputs");
}

void FunctionParser::parse_outputs() {
  tokens_.expect("->", "behind the function's body");
  tokens_.expect("(", "before the outputs");
  if (!tokens_.at(")")) {
    do {
      const Value value = use(tokens_.expect_identifier("an output's name"));
      if (value.valid()) function_.outputs.push_back(value);
    } while (tokens_.accept(","));
  }
  tokens_.expect(")", "behind the outputs");
  tokens_.expect(";", "behind the outputs");
}

bool FunctionParser::at_end_of_body() const {
  return tokens_.at_end() || tokens_.at("}") || at_function(tokens_);
}

void FunctionParser::parse_body() {
  while (!at_end_of_body()) {
    parse_statement();
    if (tokens_.diagnostics().full()) throw SyntaxError{};
  }
}

void FunctionParser::parse_statement() {
  std::vector<Result> results;
  const std::size_t ops = function_.ops.size(), values = function_.values.size();
  try {
    parse_results(results);
    parse_operation(results);
  } catch (const SyntaxError&) {
    // Immediates of the statement go with it; nothing else refers to them.
    function_.ops.resize(ops);
    function_.values.resize(values);
    skip_statement();
    leave_out(results);
  }
}

// Nothing, or `type name, type name =`.
void FunctionParser::parse_results(std::vector<Result>& results) {
  if (tokens_.peek().kind == TokenKind::identifier && tokens_.peek_second().is("(")) return;
  if (tokens_.peek_second().is("=")) tokens_.expected("the type of a result", {});
  do {
    Type type = values_.parse_type();
    const Token name = tokens_.expect_identifier("a result's name");
    results.push_back({std::move(type), name});
  } while (tokens_.accept(","));
  tokens_.expect("=", "behind the results");
}

void FunctionParser::parse_operation(const std::vector<Result>& results) {
  const Token name = tokens_.expect_identifier("an operation");
  const auto kind = find_op(name.text);
  const OpDef* def = kind ? &op_def(*kind) : nullptr;
  Operation op;
  op.location = name.location;
  if (def != nullptr) {
    op.kind = *kind;
    op.arguments.resize(def->params.size());
  }
  UnknownOperation unknown;
  if (def != nullptr) {
    parse_arguments(def, op);
  } else {
    parse_unknown_arguments(unknown);
  }
  parse_attributes(tokens_, values_, op.attributes);
  if (tokens_.at("{")) {
    tokens_.fail(tokens_.peek().location, "operations with blocks are not supported");
  }
  if (def != nullptr && op.kind == OpKind::const_) take_value_attribute(op);
  if (def == nullptr) {
    UnsupportedOp& unsupported = unsupported_[name.text];
    if (unsupported.uses++ == 0) unsupported.first = name.location;
    unknown.name = std::string(name.text);
    unknown.location = name.location;
    keep_unknown(std::move(unknown), results);
  } else {
    add_operation(std::move(op), results);
  }
  // A forgotten semicolon is no reason to lose the next statement.
  if (!tokens_.accept(";")) {
    tokens_.diagnostics().error(tokens_.peek().location, "expected ';' behind a statement, found " +
                                                             tokens_.peek().describe());
    if (tokens_.peek().kind != TokenKind::identifier) skip_statement();
  }
}

void FunctionParser::parse_arguments(const OpDef* def, Operation& op) {
  tokens_.expect("(", "behind the operation");
  if (tokens_.accept(")")) return;
  do {
    const Token name = tokens_.expect_identifier("a parameter's name");
    tokens_.expect("=", "behind a parameter's name");
    const SourceLocation location = tokens_.peek().location;
    const bool tuple = tokens_.at("(");
    const int index = def->find_param(name.text);
    if (index < 0) unknown_parameter(tokens_, *def, name);
    std::vector<Value> given = parse_argument(true);
    if (tuple && def->params[static_cast<std::size_t>(index)].arity == Arity::one) {
      tokens_.fail(location, fmt::format("{} of {} takes one value, not a tuple", name.describe(),
                                         def->name));
    }
    auto& values = op.arguments[static_cast<std::size_t>(index)];
    if (!values.empty()) {
      tokens_.fail(name.location, fmt::format("parameter {} is given twice", name.describe()));
    }
    values = std::move(given);
  } while (tokens_.accept(","));
  tokens_.expect(")", "behind the arguments");
}

void FunctionParser::parse_unknown_arguments(UnknownOperation& op) {
  tokens_.expect("(", "behind the operation");
  if (tokens_.accept(")")) return;
  do {
    const Token name = tokens_.expect_identifier("a parameter's name");
    tokens_.expect("=", "behind a parameter's name");
    op.arguments.push_back({std::string(name.text), parse_argument(false)});
  } while (tokens_.accept(","));
  tokens_.expect(")", "behind the arguments");
}

std::vector<Value> FunctionParser::parse_argument(bool keep) {
  if (!tokens_.accept("(")) return {parse_operand(keep)};
  std::vector<Value> values;
  do {
    values.push_back(parse_operand(keep));
  } while (tokens_.accept(","));
  tokens_.expect(")", "behind a tuple");
  return values;
}

// A name, or an immediate value, which becomes a const operation of its own. `keep` is false for
// operations without a definition: their values may be of any kind.
Value FunctionParser::parse_operand(bool keep) {
  const Token first = tokens_.peek();
  const bool immediate = tokens_.peek_second().is("(") || tokens_.peek_second().is("<");
  if (first.kind != TokenKind::identifier) tokens_.expected("a name or a typed value", {});
  if (!immediate) return use(tokens_.take());
  if (!keep) {
    values_.parse_value();
    return {};
  }
  Operation op;
  op.kind = OpKind::const_;
  op.immediate = true;
  op.location = first.location;
  op.constant = std::make_shared<const Constant>(values_.parse_constant());
  const auto index = static_cast<std::int32_t>(function_.ops.size());
  const Value value = function_.add_value({}, op.constant->type(), index, 0, first.location);
  op.results = {value};
  function_.ops.push_back(std::move(op));
  return value;
}

// A const's attribute `val` is its value.
void FunctionParser::take_value_attribute(Operation& op) {
  for (std::size_t i = 0; i < op.attributes.size(); ++i) {
    if (op.attributes[i].name != "val") continue;
    Attribute& given = op.attributes[i].value;
    Constant constant = values_.to_constant(std::move(given), op.location);
    op.constant = std::make_shared<const Constant>(std::move(constant));
    op.attributes.erase(op.attributes.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
  tokens_.fail(op.location, "const without a value (expected [val = …])");
}

void FunctionParser::add_operation(Operation op, const std::vector<Result>& results) {
  bool complete = leave_out(results);
  // An undefined argument (reported at the end of the function) leaves the operation out, too.
  for (const auto& values : op.arguments) {
    for (const Value value : values) complete &= value.valid();
  }
  if (!complete) return;
  const auto first = static_cast<std::int32_t>(function_.values.size() - results.size());
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(results.size()); ++i) {
    op.results.push_back({first + i});
    ValueInfo& info = function_.info({first + i});
    info.op = static_cast<std::int32_t>(function_.ops.size());
    info.result = i;
  }
  function_.ops.push_back(std::move(op));
}

// Adds the results of a statement as values that no operation defines; false if a name is taken.
bool FunctionParser::leave_out(const std::vector<Result>& results) {
  bool names_free = true;
  for (const Result& result : results) {
    const Value value = function_.add_value(std::string(result.name.text), result.type,
                                            ValueInfo::kLeftOut, 0, result.name.location);
    names_free &= define(result.name, value);
  }
  return names_free;
}

void FunctionParser::keep_unknown(UnknownOperation op, const std::vector<Result>& results) {
  const auto first = static_cast<std::int32_t>(function_.values.size());
  leave_out(results);
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(results.size()); ++i) {
    op.results.push_back({first + i});
  }
  function_.unknown_ops.push_back(std::move(op));
}

void FunctionParser::skip_statement() {
  while (!tokens_.at_end() && !at_function(tokens_)) {
    if (tokens_.at("}") && tokens_.peek_second().is("->")) return;
    const Token token = tokens_.take();
    if (token.is(";")) return;
    if (token.kind == TokenKind::identifier) excused_.insert(token.text);
  }
}

bool FunctionParser::define(const Token& name, Value value) {
  const auto [place, added] = names_.try_emplace(name.text, value);
  if (added) return true;
  Diagnostics& diagnostics = tokens_.diagnostics();
  diagnostics.error(name.location, fmt::format("{} is defined twice", name.describe()));
  diagnostics.note(function_.info(place->second).location, "the first definition is here");
  return false;
}

Value FunctionParser::use(const Token& name) {
  const auto found = names_.find(name.text);
  if (found != names_.end()) return found->second;
  if (excused_.count(name.text) == 0) undefined_.push_back(name);
  return {};
}

void FunctionParser::report_undefined() {
  std::vector<std::string_view> names;
  if (!undefined_.empty()) {
    for (const auto& entry : names_) names.push_back(entry.first);
    std::sort(names.begin(), names.end());  // the same hint on every machine
  }
  for (const Token& name : undefined_) {
    if (tokens_.diagnostics().full()) return;
    if (excused_.count(name.text) != 0) continue;
    const auto later = names_.find(name.text);
    tokens_.diagnostics().error(
        name.location,
        later != names_.end()
            ? fmt::format("{} is used before it is defined (on line {})", name.describe(),
                          function_.info(later->second).location.line)
            : fmt::format("undefined value {}{}", name.describe(), did_you_mean(name.text, names)));
  }
}

}  // namespace anemone::mil

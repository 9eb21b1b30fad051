// A rule of the catalogue: one row of a table, with one function where a program can break it.
//
// The rows stand in <section>_rules.cpp, in the order of their numbers; a new rule is a row and a
// function there. docs/lint.md is written from the table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "anemone/engine/ane/lint/view.h"
#include "anemone/engine/ane/target.h"
#include "anemone/mil/diagnostics.h"

namespace anemone::engine::ane::lint {

// What happens to a program that breaks a rule.
enum class Effect : char {
  compile = 'E',  // it does not compile
  status = 'X',   // it fails when it is run
  data = 'S',     // it gives wrong numbers and does not say so
  numbers = 'N',  // its numbers overflow, vanish or are coarse
  speed = 'P',    // it is slow
  fact = '-',     // nothing: good to know
};
constexpr char letter(Effect effect) { return static_cast<char>(effect); }
std::string_view effect_name(Effect effect);

// The one table from effect and certainty to how loud a finding is. What is contested (D) or
// inferred (E) is never an error.
//
//                    A  B  C      D  E
//   compile          error        warning
//   status           error        warning
//   data             error        warning
//   numbers          warning      note
//   speed, fact      note         note
mil::Severity severity_of(Effect effect, Certainty certainty);

struct Rule;

struct Finding {
  const Rule* rule = nullptr;
  Certainty certainty = Certainty::E;
  mil::Severity severity = mil::Severity::note;
  mil::SourceLocation location;  // line 0: a program without text
  std::string function;          // empty: the whole program
  std::string value;             // of the operation's result, where there is one
  std::string message;
};

// Where a check says what it found. The certainty is the rule's, unless another is given.
class Report {
 public:
  explicit Report(std::vector<Finding>& findings) : findings_(findings) {}

  void begin(const Rule& rule) { rule_ = &rule; }
  void add(const OpView& op, std::string message, std::optional<Certainty> certainty = {});
  void add(const FunctionView& function, mil::Value value, std::string message,
           std::optional<Certainty> certainty = {});
  void add(const FunctionView& function, std::string message,
           std::optional<Certainty> certainty = {});

 private:
  Finding& add(std::string message, std::optional<Certainty> certainty);
  std::vector<Finding>& findings_;
  const Rule* rule_ = nullptr;
};

using OpCheck = void (*)(const OpView&, Report&);
using FunctionCheck = void (*)(const FunctionView&, Report&);
struct ProgramCheck {  // called once, with the first function
  void (*check)(const FunctionView&, Report&);
};
struct NotDecidable {  // from a program
  std::string_view reason;
};

struct Rule {
  int number = 0;  // in the catalogue
  std::string_view title;
  Effect effect = Effect::fact;
  Certainty certainty = Certainty::E;
  std::string_view evidence;  // what is known, and how it fits together
  std::string_view hint;      // what to do
  std::string_view source;    // who found it
  std::variant<NotDecidable, OpCheck, FunctionCheck, ProgramCheck> check;

  std::string id() const;  // "ANE031"
  bool is_decidable() const { return !std::holds_alternative<NotDecidable>(check); }
};

using Rules = std::span<const Rule>;
Rules text_rules();     // 1-8
Rules op_rules();       // 9-30
Rules shape_rules();    // 31-49
Rules weight_rules();   // 50-56
Rules port_rules();     // 57-64
Rules process_rules();  // 65-73
Rules number_rules();   // 74-85
Rules speed_rules();    // 86-94

std::vector<const Rule*> all_rules();  // in the order of their numbers
// "ANE031", "ane31" or "31"; throws Error saying what there is.
const Rule& find_rule(std::string_view id);

}  // namespace anemone::engine::ane::lint

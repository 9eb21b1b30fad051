// The table as a whole, and how findings are made from its rows.
#include "anemone/engine/ane/lint/rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "anemone/base/error.h"

namespace anemone::engine::ane::lint {

std::string_view effect_name(Effect effect) {
  switch (effect) {
    case Effect::compile:
      return "does not compile";
    case Effect::status:
      return "fails when run";
    case Effect::data:
      return "wrong numbers, silently";
    case Effect::numbers:
      return "numbers overflow, vanish or are coarse";
    case Effect::speed:
      return "slow";
    case Effect::fact:
      return "good to know";
  }
  return "?";
}

mil::Severity severity_of(Effect effect, Certainty certainty) {
  const bool sure = certainty <= Certainty::C;
  switch (effect) {
    case Effect::compile:
    case Effect::status:
    case Effect::data:
      return sure ? mil::Severity::error : mil::Severity::warning;
    case Effect::numbers:
      return sure ? mil::Severity::warning : mil::Severity::note;
    case Effect::speed:
    case Effect::fact:
      break;
  }
  return mil::Severity::note;
}

Finding& Report::add(std::string message, std::optional<Certainty> certainty) {
  Finding finding;
  finding.rule = rule_;
  finding.certainty = certainty.value_or(rule_->certainty);
  finding.severity = severity_of(rule_->effect, finding.certainty);
  finding.message = std::move(message);
  findings_.push_back(std::move(finding));
  return findings_.back();
}

void Report::add(const OpView& op, std::string message, std::optional<Certainty> certainty) {
  Finding& finding = add(fmt::format("{}: {}", op.name(), message), certainty);
  finding.location = op.location();
  finding.function = op.function().function().name;
  finding.value = op.result_name();
}

void Report::add(const FunctionView& function, mil::Value value, std::string message,
                 std::optional<Certainty> certainty) {
  Finding& finding = add(std::move(message), certainty);
  finding.location = function.function().info(value).location;
  finding.function = function.function().name;
  finding.value = function.function().name_of(value);
}

void Report::add(const FunctionView& function, std::string message,
                 std::optional<Certainty> certainty) {
  Finding& finding = add(std::move(message), certainty);
  finding.location = function.function().location;
  finding.function = function.function().name;
}

std::string Rule::id() const { return fmt::format("ANE{:03}", number); }

std::vector<const Rule*> all_rules() {
  std::vector<const Rule*> all;
  for (const Rules section : {text_rules(), op_rules(), shape_rules(), weight_rules(), port_rules(),
                              process_rules(), number_rules(), speed_rules()}) {
    for (const Rule& rule : section) all.push_back(&rule);
  }
  return all;
}

const Rule& find_rule(std::string_view id) {
  std::string_view digits = id;
  if (digits.size() > 3 && (digits.starts_with("ANE") || digits.starts_with("ane"))) {
    digits.remove_prefix(3);
  }
  int number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [rest, problem] = std::from_chars(digits.data(), end, number);
  const auto all = all_rules();
  if (problem == std::errc() && rest == end) {
    for (const Rule* rule : all) {
      if (rule->number == number) return *rule;
    }
  }
  throw Error("there is no rule '" + std::string(id) + "'", {},
              fmt::format("one of {} to {}", all.front()->id(), all.back()->id()));
}

}  // namespace anemone::engine::ane::lint

// Running the checks, and bringing what they found into order.
#include "anemone/engine/ane/lint/lint.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace anemone::engine::ane::lint {
namespace {

void run(const Rule& rule, const FunctionView& function, bool first, Report& report) {
  report.begin(rule);
  if (const auto* check = std::get_if<OpCheck>(&rule.check)) {
    for (const OpView& op : function.ops()) (*check)(op, report);
  } else if (const auto* whole = std::get_if<FunctionCheck>(&rule.check)) {
    (*whole)(function, report);
  } else if (const auto* program = std::get_if<ProgramCheck>(&rule.check)) {
    if (first) program->check(function, report);
  }
}

bool before(const Finding& a, const Finding& b) {
  if (a.location.line != b.location.line) return a.location.line < b.location.line;
  if (a.location.column != b.location.column) return a.location.column < b.location.column;
  return a.rule->number < b.rule->number;
}

}  // namespace

std::size_t Result::count(mil::Severity severity) const {
  return static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(),
                    [&](const Finding& finding) { return finding.severity == severity; }));
}

Result lint(const mil::Program& program, const Target& target, mil::ConstantSource* constants) {
  Result result;
  Report report(result.findings);
  const auto rules = all_rules();
  for (const mil::Function& function : program.functions) {
    const FunctionView view(program, function, target, constants);
    for (const Rule* rule : rules) run(*rule, view, &function == &program.functions[0], report);
    result.estimates.push_back({function.name, estimate(view)});
  }
  std::stable_sort(result.findings.begin(), result.findings.end(), before);
  return result;
}

std::string message(const Finding& finding, bool with_hint) {
  std::string text = finding.message;
  if (finding.location.line == 0) {
    text += fmt::format(" (in function {}", finding.function);
    if (!finding.value.empty()) text += fmt::format(", at {}", finding.value);
    text += ")";
  }
  if (with_hint) text += fmt::format(". {}", finding.rule->hint);
  return text + fmt::format(" [{}, {}]", finding.rule->id(), letter(finding.certainty));
}

void show(const Result& result, mil::Diagnostics& diagnostics) {
  // By severity, so that what fails is not hidden behind what does not.
  using Kind = std::pair<const Rule*, mil::Severity>;
  std::map<Kind, std::size_t> total, shown;
  for (const Finding& finding : result.findings) ++total[{finding.rule, finding.severity}];
  std::set<const Rule*> hinted;
  for (const Finding& finding : result.findings) {
    const Kind kind = {finding.rule, finding.severity};
    const std::size_t number = ++shown[kind], all = total[kind];
    if (number > kShownOfARule) continue;
    std::string text = message(finding, hinted.insert(finding.rule).second);
    if (number == kShownOfARule && all > kShownOfARule) {
      text += fmt::format(" (and {} more)", all - kShownOfARule);
    }
    switch (finding.severity) {
      case mil::Severity::error:
        diagnostics.error(finding.location, std::move(text));
        break;
      case mil::Severity::warning:
        diagnostics.warning(finding.location, std::move(text));
        break;
      case mil::Severity::note:
        diagnostics.note(finding.location, std::move(text));
        break;
    }
  }
}

std::string summary(const Estimate& estimate) {
  constexpr double kMega = 1e6, kGiga = 1e9;
  const Cost& cost = estimate.cost;
  return fmt::format(
      "{}: {:.3g} GFLOP, {:.3g} MB of constants, {:.3g} MB of inputs and outputs, {:.3g} MB at "
      "once",
      estimate.function, cost.flops / kGiga, cost.constant_bytes / kMega, cost.port_bytes / kMega,
      cost.peak_bytes / kMega);
}

}  // namespace anemone::engine::ane::lint

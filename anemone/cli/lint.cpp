// `anemone lint`: MIL programs under the rules of a Neural Engine, and the rules themselves.
#include "anemone/engine/ane/lint/lint.h"

#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "anemone/base/counted.h"
#include "anemone/cli/command.h"
#include "anemone/cli/program_text.h"
#include "anemone/engine/ane/target.h"
#include "anemone/mil/constant_source.h"
#include "anemone/mil/diagnostics.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/verifier.h"

namespace anemone::cli {
namespace {

namespace ane = engine::ane;
namespace lint = engine::ane::lint;
using nlohmann::json;

struct LintFlags {
  std::vector<std::string> files, explain;
  std::string target, macos;
  bool json = false, list = false, weights = false, warnings_fail = false;
};

struct Linted {
  mil::Diagnostics problems;  // of the program as MIL
  lint::Result result;
};

Linted lint_text(const ProgramText& file, const LintFlags& flags, const ane::Target& target) {
  Linted linted{{file.name(), file.text()}, {}};
  const mil::Program program =
      mil::parse(file.text(), linted.problems, mil::UnknownOperations::keep);
  if (linted.problems.has_errors()) return linted;  // a part of a program would be misjudged
  mil::verify(program, linted.problems);
  mil::ConstantSource files(nullptr, file.directory());
  linted.result = lint::lint(program, target, flags.weights ? &files : nullptr);
  return linted;
}

json to_json(const lint::Rule& rule) {
  json object = {{"id", rule.id()},
                 {"title", rule.title},
                 {"effect", std::string(1, lint::letter(rule.effect))},
                 {"certainty", std::string(1, ane::letter(rule.certainty))},
                 {"evidence", rule.evidence},
                 {"hint", rule.hint},
                 {"source", rule.source},
                 {"checked", rule.is_decidable()}};
  if (const auto* no = std::get_if<lint::NotDecidable>(&rule.check)) object["reason"] = no->reason;
  return object;
}

json to_json(const lint::Finding& finding) {
  return {{"id", finding.rule->id()},
          {"severity", mil::severity_name(finding.severity)},
          {"effect", std::string(1, lint::letter(finding.rule->effect))},
          {"certainty", std::string(1, ane::letter(finding.certainty))},
          {"line", finding.location.line},
          {"column", finding.location.column},
          {"function", finding.function},
          {"value", finding.value},
          {"message", finding.message},
          {"hint", finding.rule->hint}};
}

json to_json(const lint::Estimate& estimate) {
  return {{"function", estimate.function},
          {"flops", estimate.cost.flops},
          {"constant_bytes", estimate.cost.constant_bytes},
          {"port_bytes", estimate.cost.port_bytes},
          {"peak_bytes", estimate.cost.peak_bytes}};
}

struct Counts {
  std::size_t errors, warnings, notes;
};

Counts count(const Linted& linted) {
  return {linted.problems.error_count() + linted.result.count(mil::Severity::error),
          linted.result.count(mil::Severity::warning), linted.result.count(mil::Severity::note)};
}

json to_json(const Linted& linted, const ane::Target& target) {
  const Counts counts = count(linted);
  json problems = json::array(), findings = json::array(), estimates = json::array();
  for (const mil::Diagnostic& problem : linted.problems.all()) {
    problems.push_back({{"severity", mil::severity_name(problem.severity)},
                        {"line", problem.location.line},
                        {"column", problem.location.column},
                        {"message", problem.message}});
  }
  for (const lint::Finding& finding : linted.result.findings) findings.push_back(to_json(finding));
  for (const lint::Estimate& estimate : linted.result.estimates) {
    estimates.push_back(to_json(estimate));
  }
  return {{"file", linted.problems.file()},  {"target", target.name},
          {"errors", counts.errors},         {"warnings", counts.warnings},
          {"notes", counts.notes},           {"problems", std::move(problems)},
          {"findings", std::move(findings)}, {"estimates", std::move(estimates)}};
}

void print_text(const Linted& linted, std::string_view text, const ane::Target& target) {
  mil::Diagnostics findings(linted.problems.file(), text);
  lint::show(linted.result, findings);
  fmt::print("{}{}", linted.problems.render(), findings.render());
  for (const lint::Estimate& estimate : linted.result.estimates) {
    fmt::print("{}: {}\n", linted.problems.file(), lint::summary(estimate));
  }
  const Counts counts = count(linted);
  fmt::print("{}: {}, {}, {} for {} ({})\n", linted.problems.file(),
             counted(counts.errors, "error"), counted(counts.warnings, "warning"),
             counted(counts.notes, "note"), target.name, target.chips);
}

// True if nothing found fails. Throws Error when the file cannot be read.
bool lint_file(const std::string& given, const LintFlags& flags, const ane::Target& target,
               json& report) {
  const ProgramText file(given);
  const Linted linted = lint_text(file, flags, target);
  if (flags.json) {
    report.push_back(to_json(linted, target));
  } else {
    print_text(linted, file.text(), target);
  }
  const Counts counts = count(linted);
  return counts.errors == 0 && !(flags.warnings_fail && counts.warnings > 0);
}

int lint_files(const LintFlags& flags) {
  if (flags.files.empty())
    throw UsageError("no FILE is given", {}, "MIL text, or --explain, --list");
  std::optional<ane::Target> target;
  try {
    target = ane::find_target(flags.target, flags.macos);
  } catch (const Error& error) {
    if (!flags.target.empty()) throw UsageError(error.problem(), {}, error.expected());
    throw UsageError("no --target is given", {}, error.expected());
  }
  json report = json::array();
  bool ok = true;
  for (const std::string& file : flags.files) {  // all, also behind one that cannot be read
    try {
      ok &= lint_file(file, flags, *target, report);
    } catch (const Error& error) {
      ok = false;
      mil::Diagnostics problems(file, {});
      problems.error({}, error.problem());
      report.push_back(to_json({std::move(problems), {}}, *target));
      if (!flags.json) fmt::print(stderr, "anemone: error: {}\n", error.what());
    }
  }
  if (flags.json) {
    // Text may hold any bytes; JSON must be UTF-8.
    fmt::print("{}\n", report.dump(2, ' ', false, json::error_handler_t::replace));
  }
  return ok ? kExitOk : kExitFailure;
}

std::vector<const lint::Rule*> chosen_rules(const LintFlags& flags) {
  if (flags.list) return lint::all_rules();
  std::vector<const lint::Rule*> rules;
  for (const std::string& id : flags.explain) {
    try {
      rules.push_back(&lint::find_rule(id));
    } catch (const Error& error) {
      throw UsageError(error.problem(), {}, error.expected());
    }
  }
  return rules;
}

int print_rules(const LintFlags& flags) {
  json report = json::array();
  bool first = true;
  for (const lint::Rule* rule : chosen_rules(flags)) {
    if (flags.json) {
      report.push_back(to_json(*rule));
    } else if (flags.list) {
      fmt::print("{} {} {} {}{}\n", rule->id(), lint::letter(rule->effect),
                 ane::letter(rule->certainty), rule->title,
                 rule->is_decidable() ? "" : "  (not decidable from a program)");
    } else {
      fmt::print("{}{}", first ? "" : "\n", lint::explain(*rule));
      first = false;
    }
  }
  if (flags.json) fmt::print("{}\n", report.dump(2));
  return kExitOk;
}

Run setup_lint(CLI::App& app) {
  auto flags = std::make_shared<LintFlags>();
  app.add_option("file", flags->files,
                 "MIL text, folders of compiled models, or - for standard input")
      ->type_name("FILE.mil");
  app.add_option("--target", flags->target,
                 "the Neural Engine: h13 to h17, or a chip such as m1, m3-pro, m5-max")
      ->type_name("TARGET");
  app.add_option("--macos", flags->macos, "version of macOS to write for, as in 15 or 26.3")
      ->type_name("VERSION");
  app.add_flag("--weights", flags->weights,
               "also look at the values in the blob files beside the text");
  app.add_flag("--werror", flags->warnings_fail, "exit with 1 on warnings, too");
  app.add_flag("--json", flags->json, "print everything as JSON instead");
  auto* explain = app.add_option("--explain", flags->explain,
                                 "tell of a rule: why, how certain, what to do; may be repeated")
                      ->type_name("ID")
                      ->allow_extra_args(false);
  app.add_flag("--list", flags->list, "list all rules")->excludes(explain);
  return [flags] {
    return flags->list || !flags->explain.empty() ? print_rules(*flags) : lint_files(*flags);
  };
}

}  // namespace

const Command lint_command = {
    "lint", "Check MIL programs against what a Neural Engine takes",
    "  anemone lint model.mil --target m4\n"
    "  anemone lint model.mlmodelc --target m1 --weights\n"
    "  anemone lint --explain ANE035\n"
    "  anemone lint --target h15 --json model.mil | jq '.[0].findings[].id'",
    setup_lint};

}  // namespace anemone::cli

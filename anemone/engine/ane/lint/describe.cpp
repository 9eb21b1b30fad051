// The rules for readers: one at a time for --explain, all of them for docs/lint.md.
#include <fmt/format.h>

#include "anemone/engine/ane/lint/lint.h"

namespace anemone::engine::ane::lint {
namespace {

struct Meaning {
  Certainty certainty;
  std::string_view text;
};
constexpr Meaning kCertainties[] = {
    {Certainty::A, "read in source text, or follows by arithmetic"},
    {Certainty::B, "measured by two or more independent projects"},
    {Certainty::C, "measured by one project"},
    {Certainty::D, "contested, or true of some chips or paths only"},
    {Certainty::E, "inferred"},
};
constexpr Effect kEffects[] = {Effect::compile, Effect::status, Effect::data,
                               Effect::numbers, Effect::speed,  Effect::fact};

std::string_view meaning(Certainty certainty) {
  for (const Meaning& row : kCertainties) {
    if (row.certainty == certainty) return row.text;
  }
  return "?";
}

std::string_view scope(const Rule& rule) {
  if (std::holds_alternative<OpCheck>(rule.check)) return "each operation";
  if (std::holds_alternative<FunctionCheck>(rule.check)) return "each function";
  if (std::holds_alternative<ProgramCheck>(rule.check)) return "the program";
  return "no";
}

std::string not_decidable(const Rule& rule) {
  const auto* reason = std::get_if<NotDecidable>(&rule.check);
  return reason != nullptr ? std::string(reason->reason) : std::string();
}

constexpr std::string_view kIntroduction =
    "# Rules of the Neural Engine\n\n"
    "`anemone lint FILE.mil --target T` looks at a program with the eyes of a Neural Engine. What "
    "is "
    "known about the programs that it takes was found out by many projects, none of them Apple's, "
    "and nothing of it was measured by this one. So every rule tells how certain it is, and a "
    "contested one never makes a program fail. `anemone lint --explain ANE035` tells of one rule, "
    "`--list` of all. This file is written from the rules in `anemone/engine/ane/lint/`; a test "
    "compares the two, and writes it anew when `ANEMONE_UPDATE_GOLDEN=1`.\n\n"
    "The numbers are those of our catalogue. Names of projects in the column *found by*: "
    "maderix/ANE (the original program; its issues, pull requests and benchmark report), Orion "
    "(mechramc), Espresso (christopherkarani), ane-guide and ANEForge (sbryngelson), libane "
    "(AmiraniLabs), ironmill (jafreck), tmc/apple, rustane (ncdrone), ane-train (imperatormk), "
    "field "
    "guide (skyfallsin), MiniMax-H3 (loading-awesome), omlx (jundot), hollance/neural-engine, "
    "apple/coremltools.\n";

constexpr std::string_view kJson =
    "\n## JSON\n\n`--json` prints an array with an object for each file: `file`, `target`, the "
    "counts "
    "`errors`, `warnings` and `notes`, and\n\n"
    "- `problems`: what is wrong with the program as MIL: `severity`, `line`, `column`, "
    "`message`;\n"
    "- `findings`: `id`, `severity`, `effect`, `certainty`, `line`, `column`, `function`, `value` "
    "(the "
    "operation's first result), `message`, `hint`; all of them, while the text shows the first "
    "three "
    "of a rule;\n"
    "- `estimates`, of each `function`: `flops`, `constant_bytes`, `port_bytes` (inputs and "
    "outputs), "
    "`peak_bytes` (alive at once).\n\n"
    "`--list --json` and `--explain ID --json` print rules: `id`, `title`, `effect`, `certainty`, "
    "`evidence`, `hint`, `source`, `checked`, and `reason` where it is not. The exit code is 1 "
    "where "
    "there are errors, with `--werror` also where there are warnings, and 2 for a wrong command "
    "line.\n";

std::string certainty_table() {
  std::string text = "\n## How certain\n\n| letter | means |\n|---|---|\n";
  for (const Meaning& row : kCertainties) {
    text += fmt::format("| {} | {} |\n", letter(row.certainty), row.text);
  }
  return text;
}

std::string severity_table() {
  std::string text =
      "\n## How loud\n\nA finding is an error, a warning or a note by what happens to a program "
      "that "
      "breaks the rule and by how certain that is. A check may be less certain than its rule: "
      "where "
      "it guesses at a pattern, or where the target is another than the one measured.\n\n"
      "| a program that breaks it | | A | B | C | D | E |\n|---|---|---|---|---|---|---|\n";
  for (const Effect effect : kEffects) {
    text += fmt::format("| {} | {} |", effect_name(effect), letter(effect));
    for (const Meaning& row : kCertainties) {
      text += fmt::format(" {} |", mil::severity_name(severity_of(effect, row.certainty)));
    }
    text += "\n";
  }
  return text;
}

std::string yes_no(const Fact& fact) {
  return fmt::format("{} ({})", fact.holds ? "yes" : "no", letter(fact.certainty));
}

std::string amount(const Amount& amount, double unit) {
  if (amount.value == 0) return "not published";
  return fmt::format("{:.3g} ({})", amount.value / unit, letter(amount.certainty));
}

std::string target_table() {
  struct Column {
    std::string_view title;
    std::string (*cell)(const Target&);
  };
  static constexpr Column kRows[] = {
      {"names", [](const Target& t) { return spellings(t); }},
      {"header",
       [](const Target& t) { return fmt::format("program({}), {}", t.program_version, t.opset); }},
      {"fp32 inputs and outputs", [](const Target& t) { return yes_no(t.takes.fp32_io); }},
      {"silu", [](const Target& t) { return yes_no(t.takes.silu); }},
      {"rsqrt with epsilon", [](const Target& t) { return yes_no(t.takes.rsqrt); }},
      {"reduce_mean", [](const Target& t) { return yes_no(t.takes.reduce_mean); }},
      {"pow with a constant", [](const Target& t) { return yes_no(t.takes.pow); }},
      {"sin, cos", [](const Target& t) { return yes_no(t.takes.sin_cos); }},
      {"several tensors a file", [](const Target& t) { return yes_no(t.takes.blob_records); }},
      {"matmul with a constant", [](const Target& t) { return yes_no(t.takes.constant_matmul); }},
      {"products of any rank", [](const Target& t) { return yes_no(t.takes.runtime_matmul); }},
      {"broadcasts of rank 3", [](const Target& t) { return yes_no(t.takes.narrow_broadcast); }},
      {"products flush subnormals",
       [](const Target& t) { return yes_no(t.quirks.products_flush_subnormals); }},
      {"slices inside the width lose range",
       [](const Target& t) { return yes_no(t.quirks.width_slice_gain); }},
      {"MB resident", [](const Target& t) { return amount(t.resident_bytes, 1e6); }},
      {"MB of a working set", [](const Target& t) { return amount(t.working_set_bytes, 1e6); }},
      {"best TFLOP/s published", [](const Target& t) { return amount(t.peak_flops, 1e12); }},
  };
  std::string text =
      "\n## Targets\n\nWhat a generation takes, with the certainty. *No* also stands where nothing "
      "is "
      "known: the other form works everywhere.\n\n| |";
  std::string rule = "|---|";
  for (const Target& target : targets()) {
    text += fmt::format(" {} |", target.name);
    rule += "---|";
  }
  text += "\n" + rule + "\n";
  for (const Column& row : kRows) {
    text += fmt::format("| {} |", row.title);
    for (const Target& target : targets()) text += fmt::format(" {} |", row.cell(target));
    text += "\n";
  }
  return text;
}

std::string rule_table() {
  std::string text =
      "\n## Rules\n\n*checked* says on what: each operation, each function, the program once, or "
      "why "
      "not.\n\n"
      "| rule | | | checked | what is known | what to do | found by |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const Rule* rule : all_rules()) {
    const std::string reason = not_decidable(*rule);
    text += fmt::format("| {} {} | {} | {} | {} | {} | {} | {} |\n", rule->id(), rule->title,
                        letter(rule->effect), letter(rule->certainty),
                        reason.empty() ? std::string(scope(*rule)) : "no: " + reason,
                        rule->evidence, rule->hint, rule->source);
  }
  return text;
}

// `text` in lines of at most 88 columns, each behind `indent` spaces.
std::string wrapped(std::string_view text, std::size_t indent) {
  constexpr std::size_t kColumns = 88;
  std::string result, line;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (!line.empty() && indent + line.size() + 1 + end > kColumns) {
      result += std::string(indent, ' ') + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + std::string(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result + std::string(indent, ' ') + line + "\n";
}

}  // namespace

std::string explain(const Rule& rule) {
  const char* severity = mil::severity_name(severity_of(rule.effect, rule.certainty));
  std::string text = fmt::format("{}: {}\n\n", rule.id(), rule.title);
  text += rule.is_decidable() ? fmt::format("  {}: a program that breaks it: ", severity)
                              : std::string("  if it is broken: ");
  text += fmt::format("{} ({})\n", effect_name(rule.effect), letter(rule.effect));
  text += fmt::format("  certainty {}: {}\n", letter(rule.certainty), meaning(rule.certainty));
  text += "\n  What is known\n" + wrapped(rule.evidence, 4);
  text += "\n  What to do\n" + wrapped(rule.hint, 4);
  text += "\n  Found by\n" + wrapped(rule.source, 4);
  const std::string reason = not_decidable(rule);
  text += "\n  Checked\n" +
          wrapped(reason.empty() ? "on " + std::string(scope(rule)) : "no: " + reason, 4);
  return text;
}

std::string describe_rules() {
  return std::string(kIntroduction) + certainty_table() + severity_table() + std::string(kJson) +
         target_table() + rule_table();
}

}  // namespace anemone::engine::ane::lint

// The cases that are files, cases/<rule>[_<variant>].mil: programs that break one rule in functions
// called bad… and keep it in those called good…. Comments say what is found of that rule, all of it
// and nothing else:
//   // target: m1                      whose rules
//   // not: m4                          a target of which the rule finds nothing here
//   // problems: part                   of errors that the program has as MIL
//   // warning@+1: part of the message  on the line below
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "anemone/base/file.h"
#include "anemone/engine/ane/lint/lint.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/verifier.h"
#include "tests/support/shared.h"

namespace anemone::engine::ane::lint {
namespace {

std::filesystem::path folder() { return test::source_root() / "tests/engine/ane/cases"; }

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    if (entry.path().extension() == ".mil") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

const Rule& rule_of(const std::string& name) { return find_rule(name.substr(0, name.find('_'))); }

struct Expectation {
  std::string severity;
  long line;
  std::string part;
};

struct Case {
  std::string text;
  std::string target;
  std::vector<std::string> others, problems;
  std::vector<Expectation> expected;
};

// "warning@+1: part" on line `number`.
void read_comment(const std::string& comment, long number, Case& found) {
  const std::size_t colon = comment.find(": "), at = comment.find('@');
  if (colon == std::string::npos) return;
  const std::string key = comment.substr(0, colon), value = comment.substr(colon + 2);
  if (key == "target") found.target = value;
  if (key == "not") found.others.push_back(value);
  if (key == "problems") found.problems.push_back(value);
  if (at > colon) return;
  found.expected.push_back(
      {key.substr(0, at), number + std::stol(comment.substr(at + 1, colon - at - 1)), value});
}

Case read_case(const std::string& name) {
  Case found;
  found.text = read_text_file(folder() / (name + ".mil"));
  std::istringstream stream(found.text);
  std::string line;
  for (long number = 1; std::getline(stream, line); ++number) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin != std::string::npos && line.compare(begin, 3, "// ") == 0) {
      read_comment(line.substr(begin + 3), number, found);
    }
  }
  return found;
}

mil::Program parse(const Case& given, const std::string& name) {
  mil::Diagnostics diagnostics(name, given.text);
  mil::Program program = mil::parse(given.text, diagnostics, mil::UnknownOperations::keep);
  EXPECT_FALSE(diagnostics.has_errors()) << diagnostics.render();
  mil::verify(program, diagnostics);
  for (const mil::Diagnostic& problem : diagnostics.all()) {
    const bool expected = std::any_of(
        given.problems.begin(), given.problems.end(),
        [&](const std::string& part) { return problem.message.find(part) != std::string::npos; });
    EXPECT_TRUE(expected) << problem.location.line << ": " << problem.message;
  }
  return program;
}

std::vector<Finding> findings(const mil::Program& program, const std::string& target,
                              const Rule& rule) {
  mil::ConstantSource files(nullptr, folder());
  std::vector<Finding> found;
  for (const Finding& finding : lint(program, find_target(target), &files).findings) {
    if (finding.rule == &rule) found.push_back(finding);
  }
  return found;
}

class LintCase : public testing::TestWithParam<std::string> {};

TEST_P(LintCase, FindsWhatItNames) {
  const Case given = read_case(GetParam());
  const mil::Program program = parse(given, GetParam());
  const Rule& rule = rule_of(GetParam());
  std::vector<Expectation> expected = given.expected;
  for (const Finding& finding : findings(program, given.target, rule)) {
    EXPECT_NE(finding.function.substr(0, 4), "good") << finding.message;
    const auto match = std::find_if(expected.begin(), expected.end(), [&](const Expectation& e) {
      return e.severity == mil::severity_name(finding.severity) &&
             e.line == static_cast<long>(finding.location.line) &&
             finding.message.find(e.part) != std::string::npos;
    });
    if (match == expected.end()) {
      ADD_FAILURE() << "not expected: line " << finding.location.line << ": "
                    << mil::severity_name(finding.severity) << ": " << finding.message;
    } else {
      expected.erase(match);
    }
  }
  for (const Expectation& missing : expected) {
    ADD_FAILURE() << "did not appear: line " << missing.line << ": " << missing.part;
  }
  for (const std::string& other : given.others) {
    for (const Finding& finding : findings(program, other, rule)) {
      ADD_FAILURE() << "found for " << other << ", too: " << finding.message;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, LintCase, testing::ValuesIn(cases()),
                         [](const auto& file) { return file.param; });

TEST(LintCases, EveryDecidableRuleIsBrokenAndKept) {
  std::set<const Rule*> broken, kept;
  for (const std::string& name : cases()) {
    const Case given = read_case(name);
    const mil::Program program = parse(given, name);
    std::set<std::string> with;
    for (const Finding& finding : findings(program, given.target, rule_of(name))) {
      with.insert(finding.function);
    }
    for (const mil::Function& function : program.functions) {
      (with.count(function.name) != 0 ? broken : kept).insert(&rule_of(name));
    }
  }
  for (const Rule* rule : all_rules()) {
    EXPECT_EQ(broken.count(rule), rule->is_decidable() ? 1U : 0U) << rule->id() << " is not broken";
    EXPECT_EQ(kept.count(rule), rule->is_decidable() ? 1U : 0U) << rule->id() << " is not kept";
  }
}

// Programs with errors: no check may assume that a program is whole.
TEST(LintCases, CutProgramsAreLinted) {
  for (const std::string& name : cases()) {
    const std::string text = read_case(name).text;
    for (std::size_t length = 0; length < text.size(); length += 1 + text.size() / 40) {
      mil::Diagnostics diagnostics(name, text);
      const mil::Program program = mil::parse(std::string_view(text).substr(0, length), diagnostics,
                                              mil::UnknownOperations::keep);
      for (const Target& target : targets()) lint(program, target);
    }
  }
}

}  // namespace
}  // namespace anemone::engine::ane::lint

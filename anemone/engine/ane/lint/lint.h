// Looks at a program with the eyes of a Neural Engine: every rule of the catalogue (rule.h) that
// can be decided from a program is checked.
#pragma once

#include <string>
#include <vector>

#include "anemone/engine/ane/lint/cost.h"
#include "anemone/engine/ane/lint/rule.h"
#include "anemone/engine/ane/target.h"
#include "anemone/mil/constant_source.h"
#include "anemone/mil/diagnostics.h"
#include "anemone/mil/ir.h"

namespace anemone::engine::ane::lint {

struct Estimate {
  std::string function;
  Cost cost;
};

struct Result {
  std::vector<Finding> findings;  // in the order of the text, of a place by rule
  std::vector<Estimate> estimates;
  std::size_t count(mil::Severity severity) const;
};

// Safe for programs with errors (as parse left them); keep unknown operations for the rules that
// name them. Without `constants` nothing is said about the values of weights.
Result lint(const mil::Program& program, const Target& target,
            mil::ConstantSource* constants = nullptr);

// "conv: has a bias. Use an add behind it. [ANE006, C]"
std::string message(const Finding& finding, bool with_hint);

// Puts findings among the problems of a text, of each rule the first few of each severity, the
// first with its hint.
inline constexpr std::size_t kShownOfARule = 3;
void show(const Result& result, mil::Diagnostics& diagnostics);

// "main: 12.5 GFLOP, 14.2 MB of constants, 3.1 MB of inputs and outputs, 8.1 MB at once"
std::string summary(const Estimate& estimate);

// What --explain prints of a rule: one screen of text.
std::string explain(const Rule& rule);
// docs/lint.md.
std::string describe_rules();

}  // namespace anemone::engine::ane::lint

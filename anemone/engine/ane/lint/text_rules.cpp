// Rules 1 to 8: the text itself, its header, its arguments and names.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "anemone/engine/ane/lint/rule.h"
#include "anemone/mil/op_def.h"

namespace anemone::engine::ane::lint {
namespace {

bool is_string(const mil::Attribute& attribute, std::string_view text) {
  const auto* constant = std::get_if<mil::Constant>(&attribute.value);
  return constant != nullptr && constant->has_strings() && constant->strings().size() == 1 &&
         constant->strings().front() == text;
}

// Programs without text get their header when they are written.
void build_info(const FunctionView& function, Report& report) {
  if (!function.has_text()) return;
  for (const mil::NamedAttribute& attribute : function.program().attributes) {
    const auto* entries = std::get_if<std::vector<mil::Attribute>>(&attribute.value.value);
    if (attribute.name != "buildInfo" || entries == nullptr) continue;
    for (std::size_t key = 0; key < entries->size(); key += 2) {
      if (is_string((*entries)[key], "coremlc-version")) return;
    }
    return report.add(function, "buildInfo does not name a coremlc-version");
  }
  report.add(function, "the program has no buildInfo");
}

int opset_number(std::string_view opset) {
  int number = 0;
  if (opset.starts_with("ios")) {
    std::from_chars(opset.data() + 3, opset.data() + opset.size(), number);
  }
  return number;
}

void header(const FunctionView& function, Report& report) {
  const Target& target = function.target();
  const std::string& version = function.program().version;
  const std::string& opset = function.function().opset;
  const bool newer = opset_number(opset) > opset_number(target.opset);
  if (!newer && !(target.program_version == "1.0" && version != "1.0")) return;
  // What M1 and M2 want was measured; which system knows which opset follows from its version.
  const bool measured = target.generation <= 14;
  report.add(
      function,
      fmt::format("program({}) with {}, but {} on macOS {} wants program({}) with {}", version,
                  opset, target.name, target.macos.major, target.program_version, target.opset),
      measured ? Certainty::C : Certainty::E);
}

bool is_transposition(const OpView& op, std::string_view param) {
  return op.is("matmul") && (param == "transpose_x" || param == "transpose_y");
}

// A tensor that is written in place was not measured, only attributes were.
bool takes_only_constants(const OpView& op, std::string_view param) {
  if (!op.known()) return true;
  for (const mil::OpDef* def : mil::all_ops()) {
    const int index = def->name == op.name() ? def->find_param(param) : -1;
    if (index >= 0) {
      return def->params[static_cast<std::size_t>(index)].role == mil::ParamRole::constant;
    }
  }
  return false;
}

void in_place(const OpView& op, Report& report) {
  std::string names;
  Certainty certainty = Certainty::E;
  for (const OpView::Argument& argument : op.arguments()) {
    if (!argument.in_place || is_transposition(op, argument.name)) continue;
    names += (names.empty() ? "" : ", ") + std::string(argument.name);
    if (takes_only_constants(op, argument.name)) certainty = Certainty::B;
  }
  if (!names.empty()) report.add(op, "written in place: " + names, certainty);
}

void conv_bias(const OpView& op, Report& report) {
  if (op.is("conv") && op.has("bias")) report.add(op, "has a bias");
}

void outputs(const FunctionView& function, Report& report) {
  const auto& values = function.function().outputs;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string& name = function.function().name_of(values[i]);
    const auto behind = values.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(values.begin(), behind, values[i]) != behind) {
      report.add(function, values[i], fmt::format("'{}' is an output twice", name));
    } else if (function.is_input(values[i]) || function.is_constant(values[i])) {
      report.add(function, values[i], fmt::format("output '{}' is computed by nothing", name));
    }
  }
}

constexpr std::array<std::string_view, 12> kTakenNames = {
    "var", "diff", "mean", "std", "eps", "x", "y", "mul", "add", "rsqrt", "c", "C"};

void taken_names(const FunctionView& function, Report& report) {
  if (function.target().generation != 13) return;
  std::string found;
  for (const mil::ValueInfo& info : function.function().values) {
    const auto taken = std::find(kTakenNames.begin(), kTakenNames.end(), info.name);
    if (taken == kTakenNames.end()) continue;
    found += (found.empty() ? "" : ", ") + info.name;
  }
  if (!found.empty()) report.add(function, "values called " + found);
}

constexpr NotDecidable kDriver = {"it is about the call of the framework, not about the program"};

constexpr Rule kTextRules[] = {
    {1, "The text is handed over as UTF-8 data", Effect::status, Certainty::A,
     "The descriptor takes an NSData with the text; an NSString crashes.",
     "Nothing: the driver does so.", "Orion, maderix/ANE, tmc/apple", kDriver},
    {2, "Programs without weights come with an empty dictionary", Effect::status, Certainty::B,
     "Without a dictionary the descriptor is nil or the process crashes.",
     "Nothing: the driver passes an empty one.", "Orion, ane-train, tmc/apple, maderix/ANE",
     kDriver},
    {3, "The program names its compiler", Effect::compile, Certainty::B,
     "A buildInfo dictionary with a coremlc-version must be there. Its value hardly matters: one "
     "version was used on macOS 13 to 26.",
     "Write [buildInfo = dict<string, string>({{\"coremlc-version\", \"3505.4.1\"}})] behind "
     "program(…); anemone export --target writes it.",
     "field guide, maderix/ANE, tmc/apple", ProgramCheck{build_info}},
    {4, "The header fits the chip and the system", Effect::compile, Certainty::C,
     "program(1.3) with ios18 works on M3 to M5. M1 and M2 wanted the canonical form, program(1.0) "
     "with ios16. A system does not know opsets that are younger than it.",
     "Use anemone export --target, or anemone print --version 1.0 and an older opset.",
     "maderix/ANE benchmark report, PR 6, PR 35", FunctionCheck{header}},
    {5, "Arguments are named constants", Effect::compile, Certainty::B,
     "Axes, flags, strides, epsilons and the like must refer to a const by name. Apple's own text "
     "writes some in place; the Neural Engine's compiler refused them.",
     "Define a const and refer to it, as anemone export --target does.", "Orion, ironmill",
     OpCheck{in_place}},
    {6, "conv has no bias", Effect::compile, Certainty::C,
     "A convolution with bias= did not compile.", "Use an add behind it.", "Orion",
     OpCheck{conv_bias}},
    {7, "Outputs are computed, once each", Effect::compile, Certainty::B,
     "Outputs that no operation computes, names given twice and names of nothing end in "
     "InvalidMILProgram, or fail without a reason. Twice and undefined are errors of MIL itself.",
     "Put an identity between; remove the second.", "Orion, ironmill", FunctionCheck{outputs}},
    {8, "Some names may be taken on M1", Effect::data, Certainty::D,
     "var, diff, mean, std, eps, x, y, mul, add, rsqrt, c and C were reported to give zeros on M1. "
     "The original program used x and y on M4 without harm.",
     "Give values a prefix of their own.", "ane-train (M1) against maderix/ANE (M4)",
     FunctionCheck{taken_names}},
};

}  // namespace

Rules text_rules() { return kTextRules; }

}  // namespace anemone::engine::ane::lint

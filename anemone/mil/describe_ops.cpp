// Writes what each definition says as Markdown.
#include "anemone/mil/describe_ops.h"

#include <fmt/format.h>

#include "anemone/mil/op_def.h"

namespace anemone::mil {
namespace {

std::string default_of(const ParamDef& param) {
  if (param.presence == Presence::required) return "required";
  struct Text {
    std::string operator()(std::monostate) const { return "optional"; }
    std::string operator()(bool value) const { return value ? "`true`" : "`false`"; }
    std::string operator()(std::int64_t value) const { return fmt::format("`{}`", value); }
    std::string operator()(double value) const { return fmt::format("`{}`", value); }
    std::string operator()(std::string_view value) const { return fmt::format("`\"{}\"`", value); }
  };
  return std::visit(Text{}, param.default_value);
}

std::string row(const ParamDef& param) {
  std::string takes = param.types.to_string();
  if (param.role == ParamRole::constant) takes += ", constant";
  if (param.arity == Arity::variadic) takes += ", one or more";
  return fmt::format("| `{}` | {} | {} | {} |\n", param.name, takes, default_of(param), param.doc);
}

std::string tolerance(const OpDef& def) {
  const Tolerance& t = def.tolerance;
  if (t.ulps == 0 && t.sums == 0) return "Exact on every engine.\n";
  std::string text = fmt::format("Tolerance: {} · ε(type) · |y|", t.ulps);
  if (t.sums > 0) {
    text += fmt::format(" + {}{} · ε(fp32) · {}", t.sums, def.terms != nullptr ? " · terms" : "",
                        t.magnitude_from_absolute_inputs ? "Σ|terms|" : "|y|");
  }
  return text + ".\n";
}

}  // namespace

std::string describe_ops() {
  std::string text =
      "# Operations\n\n"
      "Every operation of the language, as its definition in `anemone/mil/ops/` states it. This "
      "file is written by "
      "`mil::describe_ops`; a test compares the two, and writes the file anew when "
      "`ANEMONE_UPDATE_GOLDEN=1`.\n\n"
      "A parameter that is *constant* must be given by a `const` (or written in place); all others "
      "may be computed. "
      "Values are rounded to their declared type after every operation. The tolerance is how far "
      "an engine's result y "
      "may be from the reference meaning of the operation on the same operands before rounding; ε "
      "is half the distance "
      "from 1 to the next number of a type, and *terms* counts the numbers added up for one "
      "element.\n";
  for (const OpDef* def : all_ops()) {
    text += fmt::format("\n## {}\n\n{}\n", def->name, def->doc);
    if (def->kind == OpKind::const_) continue;
    text += "\n| parameter | takes | default | |\n|---|---|---|---|\n";
    for (const ParamDef& param : def->params) text += row(param);
    text += "\n" + tolerance(*def);
  }
  return text;
}

}  // namespace anemone::mil

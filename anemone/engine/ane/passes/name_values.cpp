// Names of inputs, outputs and values.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "anemone/engine/ane/passes/function_editor.h"
#include "anemone/engine/ane/passes/legal_pass.h"

namespace anemone::engine::ane {
namespace {

// Reported to be words of the compiler, or to make zeros silently (rule 8, contested): nothing is
// lost by other names.
constexpr std::string_view kReserved[] = {"var", "diff", "mean", "std",   "eps", "x",
                                          "y",   "mul",  "add",  "rsqrt", "c",   "C"};

bool is_reserved(std::string_view name) {
  return std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved);
}

// With so many digits that names sort as numbers do.
std::string numbered(const char* stem, std::size_t index, std::size_t count) {
  return fmt::format("{}{:0{}}", stem, index, std::to_string(count - 1).size());
}

// An output that is an input cannot have both names.
void copy_inputs_to_outputs(FunctionEditor& editor) {
  mil::Function& function = editor.function();
  for (mil::Value& output : function.outputs) {
    if (function.info(output).op < 0)
      output = editor.add(mil::OpKind::identity, {{"x", output}}, "copy");
  }
}

}  // namespace

void name_values(LegalContext& context, const std::string& tag) {
  mil::Function& function = context.function;
  FunctionEditor editor(function);
  copy_inputs_to_outputs(editor);
  for (std::size_t i = 0; i < function.values.size(); ++i) {
    const std::string name = function.values[i].name;
    if (is_reserved(name)) {
      editor.rename({static_cast<std::int32_t>(i)}, editor.unique_name("v_" + name));
    }
  }
  const std::string in = "a_" + tag + "input", out = "z_" + tag + "output";
  for (std::size_t i = 0; i < function.inputs.size(); ++i)
    editor.rename(function.inputs[i], numbered(in.c_str(), i, function.inputs.size()));
  for (std::size_t i = 0; i < function.outputs.size(); ++i)
    editor.rename(function.outputs[i], numbered(out.c_str(), i, function.outputs.size()));
}

}  // namespace anemone::engine::ane

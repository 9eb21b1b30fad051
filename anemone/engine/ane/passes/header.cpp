// What stands around the functions (rules 3 and 4).
#include <algorithm>
#include <string_view>

#include "anemone/engine/ane/passes/legal_pass.h"

namespace anemone::engine::ane {
namespace {

// The compiler wants to know who compiled the text; which version it reads makes no difference.
constexpr std::string_view kBuildInfo[][2] = {
    {"coremlc-component-MIL", "3510.2.1"},
    {"coremlc-version", "3505.4.1"},
    {"coremltools-component-milinternal", ""},
    {"coremltools-version", "9.0"},
};

mil::Attribute text(std::string_view value) {
  mil::Constant constant = mil::Constant::string(std::string(value));
  return {constant.type(), std::move(constant)};
}

}  // namespace

void set_header(mil::Program& program, const Target& target) {
  program.version = target.program_version;
  for (mil::Function& function : program.functions) function.opset = target.opset;
  // What the program brought along says nothing of who compiles it now.
  program.attributes.erase(
      std::remove_if(program.attributes.begin(), program.attributes.end(),
                     [](const auto& attribute) { return attribute.name == "buildInfo"; }),
      program.attributes.end());
  mil::Type type;
  type.kind = mil::Type::Kind::dict;
  type.elements = {mil::Type::tensor(DType::string), mil::Type::tensor(DType::string)};
  std::vector<mil::Attribute> entries;
  for (const auto& [key, value] : kBuildInfo) {
    entries.push_back(text(key));
    entries.push_back(text(value));
  }
  program.attributes.push_back({"buildInfo", {std::move(type), std::move(entries)}});
}

}  // namespace anemone::engine::ane

#include "tests/fake_ane/framework/program_rules.h"

#include <algorithm>
#include <set>
#include <string>

#include "anemone/base/error.h"
#include "anemone/mil/op_def.h"

namespace anemone::fake_ane {
namespace {

constexpr std::size_t kMaxBlobs = 16;  // rule 52
constexpr int kMaxRank = 4;            // of inputs and outputs: more would need a depth axis

// Rule 28: fp16 or fp32 at the border of a program.
void check_border(const mil::Function& function, mil::Value value) {
  const mil::Type& type = function.type(value);
  const std::string& name = function.name_of(value);
  const bool right_type =
      type.is_tensor() && (type.dtype == DType::fp16 || type.dtype == DType::fp32);
  if (!right_type || type.shape.rank() == 0 || type.shape.rank() > kMaxRank ||
      !type.shape.is_static()) {
    throw Error("InvalidMILProgram: " + name + " is a " + type.to_string(), function.name,
                "fp16 or fp32 of rank 1 to 4 as input or output (rules 27, 28)");
  }
}

// Rule 5: arguments are named constants. Rule 6: conv has no bias.
void check_operation(const mil::Function& function, const mil::Operation& op) {
  if (op.kind == mil::OpKind::const_) return;
  const mil::OpDef& def = mil::op_def(op.kind);
  for (std::size_t i = 0; i < op.arguments.size(); ++i) {
    if (op.arguments[i].empty()) continue;
    const std::string parameter(def.params[i].name);
    if (op.kind == mil::OpKind::conv && parameter == "bias") {
      throw Error("InvalidMILProgram: conv has a bias (rule 6)", function.name);
    }
    for (const mil::Value value : op.arguments[i]) {
      const mil::Operation* definition = function.definition(value);
      if (definition == nullptr || !definition->immediate) continue;
      throw Error(
          "InvalidMILProgram: " + std::string(def.name) + "'s " + parameter + " is written inline",
          function.name, "the name of a const (rule 5)");
    }
  }
}

void collect_blobs(const mil::Function& function, const std::set<std::string>& files,
                   std::set<std::pair<std::string, std::uint64_t>>& blobs) {
  for (const mil::Operation& op : function.ops) {
    if (op.constant == nullptr || op.constant->blob() == nullptr) continue;
    const mil::BlobRef& blob = *op.constant->blob();
    if (files.count(blob.path) == 0) {
      throw Error("ANECCompile() FAILED: the weight dictionary has no " + blob.path, function.name);
    }
    blobs.emplace(blob.path, blob.offset);
  }
}

}  // namespace

void check_rules(const mil::Program& program, const std::set<std::string>& files) {
  std::set<std::pair<std::string, std::uint64_t>> blobs;
  std::set<std::string> inputs;
  for (const mil::Function& function : program.functions) {
    if (function.inputs.empty() || function.outputs.empty()) {
      throw Error("InvalidMILProgram: a function without inputs or outputs", function.name);
    }
    for (const mil::Value value : function.inputs) {
      check_border(function, value);
      if (!inputs.insert(function.name_of(value)).second) {
        throw Error("InvalidMILProgram: two functions have an input " + function.name_of(value),
                    function.name, "names that are unique in the program");
      }
    }
    for (const mil::Value value : function.outputs) check_border(function, value);
    for (const mil::Operation& op : function.ops) check_operation(function, op);
    collect_blobs(function, files, blobs);
  }
  if (blobs.size() > kMaxBlobs) {
    throw Error("ANECCompile() FAILED: " + std::to_string(blobs.size()) +
                " BLOBFILE tensors in one program, 16 are possible (rule 52)");
  }
}

}  // namespace anemone::fake_ane

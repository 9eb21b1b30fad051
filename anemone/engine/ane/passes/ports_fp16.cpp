// Inputs and outputs in fp16 (rules 28 and 93): every target takes them, the older ones nothing
// else, and where fp32 is taken it is slower. The host converts when it writes and reads surfaces.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "anemone/engine/ane/passes/function_editor.h"
#include "anemone/engine/ane/passes/legal_pass.h"

namespace anemone::engine::ane {
namespace {

bool contains(const std::vector<mil::Value>& values, mil::Value value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool uses(const mil::Operation& op, mil::Value value) {
  return std::any_of(op.arguments.begin(), op.arguments.end(),
                     [&](const auto& values) { return contains(values, value); });
}

class Narrowing {
 public:
  explicit Narrowing(LegalContext& context) : context_(context), function_(context.function) {}

  void run() {
    for (const mil::Value input : function_.inputs) narrow_input(input);
    for (mil::Value& output : function_.outputs) narrow_output(output);
    remove_casts();
  }

 private:
  const mil::Type& type(mil::Value value) const { return function_.type(value); }

  bool is_cast(const mil::Operation& op, DType from, DType to) const {
    return op.kind == mil::OpKind::cast && type(argument(op, "x")).dtype == from &&
           type(op.results.front()).dtype == to;
  }

  // Where every use of the input is a cast to fp16, the input can be what is cast to.
  void narrow_input(mil::Value input) {
    if (type(input).dtype != DType::fp32 || contains(function_.outputs, input)) return;
    std::vector<const mil::Operation*> casts;
    for (const mil::Operation& op : function_.ops) {
      if (!uses(op, input)) continue;
      if (!is_cast(op, DType::fp32, DType::fp16) || contains(function_.outputs, op.results.front()))
        return;
      casts.push_back(&op);
    }
    if (casts.empty()) return;
    for (const mil::Operation* cast : casts) {
      replaced_[cast->results.front().index] = input;
      context_.note(28, *cast,
                    fmt::format("input {} is fp16, without the cast", function_.name_of(input)));
    }
    function_.info(input).type.dtype = DType::fp16;
  }

  void narrow_output(mil::Value& output) {
    const mil::Operation* cast = function_.definition(output);
    if (cast == nullptr || !is_cast(*cast, DType::fp16, DType::fp32)) return;
    const bool used = std::any_of(function_.ops.begin(), function_.ops.end(),
                                  [&](const mil::Operation& op) { return uses(op, output); });
    const mil::Value narrow = argument(*cast, "x");
    // An input, or a value under another output's name, cannot be this output as well.
    if (used || function_.info(narrow).op < 0 || replaced_.count(narrow.index) != 0 ||
        contains(function_.outputs, narrow))
      return;
    context_.note(28, *cast,
                  fmt::format("output {} is fp16, without the cast", function_.name_of(output)));
    const std::string name = function_.name_of(output);
    replaced_[output.index] = narrow;
    FunctionEditor(function_).rename(narrow, name);
    output = narrow;
  }

  void remove_casts() {
    if (replaced_.empty()) return;
    FunctionEditor editor(function_);
    for (mil::Operation& op : editor.take_operations()) {
      if (op.kind == mil::OpKind::cast && replaced_.count(op.results.front().index) != 0) continue;
      for (auto& values : op.arguments) {
        for (mil::Value& value : values) {
          const auto found = replaced_.find(value.index);
          if (found != replaced_.end()) value = found->second;
        }
      }
      editor.keep(std::move(op));
    }
  }

  LegalContext& context_;
  mil::Function& function_;
  std::map<std::int32_t, mil::Value> replaced_;  // results of casts that go
};

}  // namespace

void make_ports_fp16(LegalContext& context) { Narrowing(context).run(); }

}  // namespace anemone::engine::ane

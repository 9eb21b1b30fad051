// The order of the steps, and the interface of the result.
#include "anemone/engine/ane/legalize.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/engine/ane/passes/legal_pass.h"
#include "anemone/mil/op_def.h"
#include "anemone/mil/passes/pack_io.h"
#include "anemone/mil/passes/passes.h"
#include "anemone/mil/printer.h"
#include "anemone/mil/verifier.h"

namespace anemone::engine::ane {
namespace {

std::vector<mil::PackedPort> unpacked(const mil::Function& function,
                                      const std::vector<mil::Value>& ports) {
  std::vector<mil::PackedPort> layout;
  for (std::size_t i = 0; i < ports.size(); ++i)
    layout.push_back({function.name_of(ports[i]), 0, 0, static_cast<int>(i)});
  return layout;
}

// Named tensors with their types, before they are packed.
std::vector<LegalPort> ports_of(const mil::Function& function,
                                const std::vector<mil::Value>& values) {
  std::vector<LegalPort> ports;
  for (const mil::Value value : values)
    ports.push_back({function.name_of(value), function.type(value), 0, 0});
  return ports;
}

void place_ports(std::vector<LegalPort>& ports, const std::vector<mil::PackedPort>& layout) {
  for (std::size_t i = 0; i < ports.size(); ++i) {
    ports[i].buffer = layout[i].buffer;
    ports[i].channel = layout[i].channel;
  }
}

std::vector<LegalBuffer> buffers_of(const mil::Function& function,
                                    const std::vector<mil::Value>& values) {
  std::vector<LegalBuffer> buffers;
  for (const mil::Value value : values)
    buffers.push_back({function.name_of(value), function.type(value)});
  return buffers;
}

void run_standard_passes(mil::Function& function, const LegalizeOptions& options) {
  mil::ConstantSource none;
  mil::PassContext context{options.constants != nullptr ? *options.constants : none};
  mil::run_standard_passes(function, context);
}

void remove_dead_code(mil::Function& function) {
  mil::ConstantSource none;
  mil::PassContext context{none};
  mil::eliminate_dead_code(function, context);
}

LegalFunction legalize_function(mil::Function& function, const Target& target,
                                const LegalizeOptions& options, const std::string& tag,
                                std::vector<LegalNote>& notes) {
  LegalContext context{function, target, options, notes};
  run_standard_passes(function, options);
  make_ports_fp16(context);
  check_function(context);
  rewrite_operations(context);
  LegalFunction legal;
  legal.name = function.name;
  legal.inputs = ports_of(function, function.inputs);
  legal.outputs = ports_of(function, function.outputs);
  mil::PackedLayout layout;
  layout.inputs = unpacked(function, function.inputs);
  layout.outputs = unpacked(function, function.outputs);
  if (options.pack_io && !function.inputs.empty() && !function.outputs.empty())
    layout = mil::pack_io(function, options.name);
  place_ports(legal.inputs, layout.inputs);
  place_ports(legal.outputs, layout.outputs);
  name_arguments(context);
  name_values(context, tag);
  remove_dead_code(function);  // what the rewrites left behind
  legal.input_buffers = buffers_of(function, function.inputs);
  legal.output_buffers = buffers_of(function, function.outputs);
  return legal;
}

}  // namespace

std::string LegalContext::describe(const mil::Operation& op) const {
  std::string text(mil::op_name(op.kind));
  if (!op.results.empty()) text += " " + function.name_of(op.results.front());
  return text;
}

void LegalContext::note(int rule, const mil::Operation& op, const std::string& text) const {
  notes.push_back({rule, function.name + ": " + describe(op), text});
}

void LegalContext::reject(int rule, const mil::Operation& op, const std::string& problem,
                          const std::string& help) const {
  const std::string line = op.location.line == 0 ? "" : fmt::format(":{}", op.location.line);
  throw Error(fmt::format("{}: {} (rule {})", describe(op), problem, rule), options.name + line,
              help);
}

void LegalContext::reject(int rule, mil::Value port, const std::string& problem,
                          const std::string& help) const {
  const std::uint32_t line = function.info(port).location.line;
  throw Error(fmt::format("{} (rule {})", problem, rule),
              options.name + (line == 0 ? "" : fmt::format(":{}", line)), help);
}

LegalizedProgram legalize(mil::Program program, const Target& target,
                          const LegalizeOptions& options) {
  LegalizedProgram legal;
  legal.program = std::move(program);
  mil::verify_or_throw(legal.program, options.name);
  std::vector<mil::Function>& functions = legal.program.functions;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const std::size_t digits = std::to_string(functions.size() - 1).size();
    const std::string tag = functions.size() == 1 ? "" : fmt::format("f{:0{}}_", i, digits);
    legal.functions.push_back(legalize_function(functions[i], target, options, tag, legal.notes));
  }
  set_header(legal.program, target);
  legal.blobs = place_constants(legal.program, target, options, legal.notes);
  mil::verify_or_throw(legal.program, options.name);
  legal.text = mil::print(legal.program);
  return legal;
}

}  // namespace anemone::engine::ane

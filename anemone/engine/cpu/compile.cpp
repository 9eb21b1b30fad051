// The compiler's driver.
#include "anemone/engine/cpu/compile.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/engine/cpu/lower/copy.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/engine/cpu/views.h"
#include "anemone/mil/verifier.h"

namespace anemone::cpu {
namespace {

std::string type_refusal(const mil::Type& type, bool is_constant) {
  if (!type.is_tensor()) return "is a " + type.to_string() + ", not a tensor";
  if (dtype_size(type.dtype) == 0 && !is_constant) return "is a tensor of strings";
  if (!type.shape.is_static()) return "has a dimension that is not known: " + type.to_string();
  constexpr std::int64_t kMostElements = std::int64_t{1} << 40;
  const auto elements = type.shape.checked_elements();
  if (!elements.has_value() || *elements > kMostElements)
    return "is too large: " + type.to_string();
  return {};
}

// Lowerings rely on operations that obey their definitions.
std::string operation_refusal(const mil::Function& function, const mil::Operation& op) {
  const mil::OpDef& def = mil::op_def(op.kind);
  if (op.kind == mil::OpKind::const_) return {};
  if (def.eval_real == nullptr)
    return fmt::format("operation {} has no meaning at run time", def.name);
  try {
    const std::vector<mil::Type> types = mil::infer_types(function, op);
    if (types.size() != op.results.size())
      return fmt::format("{}: wrong number of results", def.name);
    for (std::size_t i = 0; i < types.size(); ++i) {
      if (!(types[i] == function.type(op.results[i])))
        return fmt::format("{}: '{}' is {}, not the declared {}", def.name,
                           function.name_of(op.results[i]), types[i].to_string(),
                           function.type(op.results[i]).to_string());
    }
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// What a step does, for people: "conv 'q'", "elementwise 'gate': sigmoid, mul, mul".
std::string operation_name(const GroupGraph& graph, const Group& group) {
  const auto name = [&](int op) { return std::string(mil::op_name(graph.op(op).kind)); };
  const mil::Value result = group.outputs.front();
  if (group.ops.size() == 1)
    return fmt::format("{} '{}'", name(group.ops.front()), graph.function().name_of(result));
  std::string ops;
  for (const int op : group.ops) ops += (ops.empty() ? "" : ", ") + name(op);
  return fmt::format("{} '{}' ({})", group.fusion->name, graph.function().name_of(result), ops);
}

class Compiler {
 public:
  Compiler(const mil::Function& function, Constants& constants, const Machine& machine)
      : graph_(function, constants.source()), constants_(constants), machine_(machine) {}

  CompiledProgram run(const std::vector<std::string>& disabled_fusions) {
    for (const Fusion* fusion : fusions()) {
      const bool disabled = std::find(disabled_fusions.begin(), disabled_fusions.end(),
                                      fusion->name) != disabled_fusions.end();
      if (!disabled) fusion->apply(graph_);
    }
    const std::vector<int> order = graph_.schedule();
    placement_ = place_values(graph_, order, constant_layout);
    emit_copies(-1);
    for (const int index : order) {
      emit_group(graph_.group(index));
      emit_copies(index);
    }
    make_constants();
    program_.storages = std::move(placement_.storages);
    program_.scratch = plan_scratch(program_.storages, program_.steps);
    return std::move(program_);
  }

 private:
  void emit_copies(int group) {
    const auto first =
        std::lower_bound(placement_.copies.begin(), placement_.copies.end(), group,
                         [](const PlacedCopy& copy, int wanted) { return copy.group < wanted; });
    for (auto copy = first; copy != placement_.copies.end() && copy->group == group; ++copy)
      program_.steps.push_back(lower_copy(graph_.function(), *copy, machine_.features));
  }

  void emit_group(const Group& group) {
    const mil::Operation& op = graph_.op(group.ops.front());
    if (group.fusion == nullptr &&
        (view_rule(graph_.function(), op) != nullptr || is_concat(graph_.function(), op)))
      return;  // placement has done it
    LowerContext context(graph_, group, placement_, constants_, machine_);
    Step step;
    step.operation = operation_name(graph_, group);
    step.refusals = group.refusals;
    const bool own = group.fusion != nullptr && !group.fusion->alternatives.empty();
    const auto alternatives = own ? group.fusion->alternatives : op_row(op.kind).alternatives;
    for (const Alternative& alternative : alternatives) {
      if (try_alternative(alternative, context, step)) return;
    }
    ANEMONE_CHECK(group.ops.size() == 1, "a fusion makes only groups that can be computed");
    if (alternatives.empty()) step.refusals.emplace_back("no fast path");
    ANEMONE_CHECK(try_alternative(kReferenceAlternative, context, step),
                  "the reference evaluation takes everything");
  }

  bool try_alternative(const Alternative& alternative, LowerContext& context, Step& step) {
    Step attempt = step;
    const std::string refusal = alternative.lower(context, attempt);
    if (!refusal.empty()) {
      step.refusals.push_back(fmt::format("{}: {}", alternative.name, refusal));
      return false;
    }
    program_.steps.push_back(std::move(attempt));
    return true;
  }

  void make_constants() {
    program_.constants.resize(placement_.storages.size(), nullptr);
    for (const Step& step : program_.steps) {
      for (const int storage : step.reads) {
        const auto i = static_cast<std::size_t>(storage);
        const Storage& described = placement_.storages[i];
        if (described.kind != Storage::Kind::constant) continue;
        program_.constants[i] = constants_.plain(mil::Value{described.index});
      }
    }
  }

  GroupGraph graph_;
  Constants& constants_;
  const Machine& machine_;
  Placement placement_;
  CompiledProgram program_;
};

void check_memory(const CompiledProgram& program) {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  if (pages <= 0 || page <= 0) return;
  const auto have = static_cast<std::size_t>(pages) * static_cast<std::size_t>(page);
  if (program.scratch.bytes <= have) return;
  throw Error(fmt::format("the intermediate values need {} MiB", program.scratch.bytes >> 20), {},
              fmt::format("at most the {} MiB of this machine", have >> 20));
}

}  // namespace

std::string unsupported_reason(const mil::Function& function) {
  for (const mil::ValueInfo& info : function.values) {
    const bool is_constant =
        info.op >= 0 && function.ops[static_cast<std::size_t>(info.op)].kind == mil::OpKind::const_;
    const std::string refusal = type_refusal(info.type, is_constant);
    if (!refusal.empty()) return fmt::format("'{}' {}", info.name, refusal);
  }
  for (const mil::Operation& op : function.ops) {
    std::string refusal = operation_refusal(function, op);
    if (!refusal.empty()) return refusal;
  }
  for (const mil::Value output : function.outputs) {
    if (dtype_size(function.type(output).dtype) == 0)
      return fmt::format("output '{}' is a tensor of strings", function.name_of(output));
  }
  return {};
}

CompiledProgram compile_function(const mil::Function& function, Constants& constants,
                                 const Machine& machine,
                                 const std::vector<std::string>& disabled_fusions) {
  CompiledProgram program = Compiler(function, constants, machine).run(disabled_fusions);
  check_memory(program);
  return program;
}

std::string explain_program(const std::string& name, const CompiledProgram& program,
                            const Constants& constants, const Machine& machine) {
  std::string text = fmt::format("{}: {} steps\n", name, program.steps.size());
  int references = 0;
  double flops = 0;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    text += fmt::format("{:4}  {}: {}", i, step.operation, step.implementation);
    if (!step.refusals.empty()) text += fmt::format("; because {}", fmt::join(step.refusals, ", "));
    text += '\n';
    references += step.reference ? 1 : 0;
    flops += step.flops;
  }
  text += fmt::format(
      "threads {}, {:.3f} GFLOP in products, scratch {} bytes, packed weights {} bytes, all "
      "constants {} bytes, reference evaluations {}\n",
      machine.threads, flops * 1e-9, program.scratch.bytes, constants.packed_bytes(),
      constants.bytes(), references);
  return text;
}

}  // namespace anemone::cpu

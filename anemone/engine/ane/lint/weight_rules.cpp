// Rules 50 to 56: constants, and the files they lie in.
#include <fmt/format.h>

#include "anemone/engine/ane/lint/rule.h"
#include "anemone/mil/blob_file.h"

namespace anemone::engine::ane::lint {
namespace {

template <class Visit>
void for_each_constant(const FunctionView& function, const Visit& visit) {
  for (const mil::Operation& op : function.function().ops) {
    if (op.constant != nullptr && !op.results.empty()) visit(op.results.front(), *op.constant);
  }
}

void files(const FunctionView& function, Report& report) {
  for_each_constant(function, [&](mil::Value value, const mil::Constant& constant) {
    std::string problem;
    if (constant.blob() == nullptr || function.facts(constant, &problem) != nullptr) return;
    if (!problem.empty()) report.add(function, value, problem);
  });
}

void offsets(const FunctionView& function, Report& report) {
  for_each_constant(function, [&](mil::Value value, const mil::Constant& constant) {
    const mil::BlobRef* blob = constant.blob();
    if (blob == nullptr) return;
    const std::uint64_t offset = blob->offset;
    if (offset >= mil::kFirstBlobRecord && offset % mil::kFirstBlobRecord == 0) return;
    report.add(function, value,
               fmt::format("offset {} is not that of a record: {}, or a later multiple of it",
                           offset, mil::kFirstBlobRecord));
  });
}

bool adds_a_scalar(const OpView& op) {
  if (!op.is_any("add", "mul", "pow")) return false;
  return op.number("x").has_value() || op.number("y").has_value();
}

void tensor_count(const FunctionView& function, Report& report) {
  int count = 0;
  for_each_constant(function, [&](mil::Value, const mil::Constant& constant) {
    count += constant.blob() != nullptr || constant.weight() != nullptr;
  });
  bool scalar = false;
  for (const OpView& op : function.ops()) scalar |= adds_a_scalar(op);
  const int limit = scalar ? kMaxBlobTensorsScalar : kMaxBlobTensors;
  if (count <= limit) return;
  report.add(function,
             fmt::format("{} tensors in blob files, {} are possible{}", count, limit,
                         scalar ? " where a scalar constant is added or multiplied" : ""));
}

constexpr double kMostConstants = 2e9;  // bytes

void constant_bytes(const FunctionView& function, Report& report) {
  double bytes = 0;
  for_each_constant(
      function, [&](mil::Value value, const mil::Constant&) { bytes += function.bytes(value); });
  if (bytes > kMostConstants)
    report.add(function, fmt::format("{:.1f} GB of constants", bytes / 1e9));
}

void constant_operand(const OpView& op, Report& report) {
  const Fact& fact = op.function().target().takes.constant_matmul;
  if (!op.is("matmul") || fact.holds) return;
  for (const char* param : {"x", "y"}) {
    if (op.constant(param) != nullptr) {
      report.add(op, fmt::format("{} is a constant", param), fact.certainty);
    }
  }
}

constexpr Rule kWeightRules[] = {
    {50, "Blob files are in MIL Blob Storage 2", Effect::data, Certainty::A,
     "A header of 64 bytes with count and version, records of 64 bytes that begin with 0xDEADBEEF, "
     "data at multiples of 64 (docs/mil-text.md). One tool writes another header, which M1 "
     "refuses.",
     "Write them with anemone export, or look at them with anemone check --weights.",
     "apple/coremltools, maderix/ANE", FunctionCheck{files}},
    {51, "BLOBFILE's offset is that of a record", Effect::data, Certainty::A,
     "It addresses the record, not the data behind it: 64 for the first one.",
     "Write offset = uint64(64) for a file of one tensor.", "apple/coremltools, Orion",
     FunctionCheck{offsets}},
    {52, "At most 16 tensors in blob files", Effect::compile, Certainty::C,
     "15 where the program adds, multiplies or raises by a scalar constant. Reproduced on M4.",
     "Cut the program, or join tensors and slice them.", "Orion, its issue 3",
     FunctionCheck{tensor_count}},
    {53, "Weights are baked", Effect::data, Certainty::B,
     "Overwriting the files of a loaded program, or of one that is unloaded and loaded again, "
     "changes nothing.",
     "Compile again, or take weights as inputs (partition dynamic).",
     "maderix/ANE (M4, M5), libane (M3), Orion",
     NotDecidable{"it is about what the host does between runs"}},
    {54, "The request's weights buffer is ignored", Effect::data, Certainty::B,
     "Weights that change need an entitlement that only Apple gives.",
     "Compile again, or take weights as inputs.", "maderix/ANE, ane-guide, tmc/apple",
     NotDecidable{"it is about the request, not about the program"}},
    {55, "About 2 GB of constants a program", Effect::compile, Certainty::D,
     "One project found 2 GB, another loads 7.9 GB and not 15; 8 MB, claimed by a third, is "
     "contradicted by programs of 64 MB.",
     "Cut the program.", "ANEForge, omlx, ironmill", FunctionCheck{constant_bytes}},
    {56, "matmul with a constant on M1", Effect::compile, Certainty::D,
     "InvalidMILProgram on M1, fine elsewhere.", "Write a 1x1 conv, or take it as an input.",
     "ane-train (M1)", OpCheck{constant_operand}},
};

}  // namespace

Rules weight_rules() { return kWeightRules; }

}  // namespace anemone::engine::ane::lint

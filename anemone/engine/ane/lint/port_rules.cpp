// Rules 57 to 64: inputs, outputs, and the surfaces they lie in.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "anemone/base/counted.h"
#include "anemone/engine/ane/lint/rule.h"

namespace anemone::engine::ane::lint {
namespace {

using Values = std::vector<mil::Value>;

const Values& inputs(const FunctionView& function) { return function.function().inputs; }
const Values& outputs(const FunctionView& function) { return function.function().outputs; }

// Bytes of a row of the surface: of the last axis.
std::int64_t row_bytes(const FunctionView& function, mil::Value port) {
  const Shape* shape = function.shape(port);
  const auto dtype = function.dtype(port);
  if (shape == nullptr || !dtype) return 0;
  return axis_from_back(*shape, 1).value_or(1) * static_cast<std::int64_t>(dtype_size(*dtype));
}

void rows(const FunctionView& function, Report& report) {
  for (const Values* ports : {&inputs(function), &outputs(function)}) {
    for (const mil::Value port : *ports) {
      const std::int64_t bytes = row_bytes(function, port);
      if (bytes % kRowAlignment == 0) continue;
      report.add(function, port,
                 fmt::format("rows of '{}' have {} bytes and are padded to {}",
                             function.function().name_of(port), bytes,
                             (bytes / kRowAlignment + 1) * kRowAlignment));
    }
  }
}

void order(const FunctionView& function, Report& report) {
  for (const auto& [what, ports] :
       {std::pair("inputs", &inputs(function)), std::pair("outputs", &outputs(function))}) {
    std::string names;
    for (const mil::Value port : *ports) {
      names += (names.empty() ? "" : ", ") + function.function().name_of(port);
    }
    const bool sorted =
        std::is_sorted(ports->begin(), ports->end(), [&](mil::Value a, mil::Value b) {
          return function.function().name_of(a) < function.function().name_of(b);
        });
    if (!sorted) {
      report.add(function, ports->front(),
                 fmt::format("{} are not in the order of their names: {}", what, names),
                 Certainty::E);
    }
  }
}

void uniform_sizes(const FunctionView& function, Report& report) {
  for (const auto& [what, ports] :
       {std::pair("inputs", &inputs(function)), std::pair("outputs", &outputs(function))}) {
    for (const mil::Value port : *ports) {
      const double bytes = function.bytes(port), first = function.bytes(ports->front());
      if (bytes == first || bytes == 0 || first == 0) continue;
      report.add(function, port,
                 fmt::format("{} differ in size: '{}' has {} bytes, '{}' has {}", what,
                             function.function().name_of(port), bytes,
                             function.function().name_of(ports->front()), first));
      break;
    }
  }
}

void monotone_sizes(const FunctionView& function, Report& report) {
  if (function.target().generation != 13) return;
  const auto smaller = [&](mil::Value a, mil::Value b) {
    return function.bytes(a) < function.bytes(b);
  };
  const auto larger = [&](mil::Value a, mil::Value b) { return smaller(b, a); };
  if (!std::is_sorted(inputs(function).begin(), inputs(function).end(), smaller)) {
    report.add(function, inputs(function).front(), "inputs do not grow in size");
  }
  if (!std::is_sorted(outputs(function).begin(), outputs(function).end(), larger)) {
    report.add(function, outputs(function).front(), "outputs do not shrink in size");
  }
}

constexpr std::int64_t kRowElements = 16, kChannelBlock = 32;

void granules(const FunctionView& function, Report& report) {
  for (const Values* ports : {&inputs(function), &outputs(function)}) {
    for (const mil::Value port : *ports) {
      const Shape* shape = function.shape(port);
      const std::int64_t width = shape != nullptr ? axis_from_back(*shape, 1).value_or(1) : 0;
      if (width % kRowElements == 0) continue;
      report.add(
          function, port,
          fmt::format("'{}' is {} wide, no multiple of {}", function.function().name_of(port),
                      counted(static_cast<std::uint64_t>(width), "element"), kRowElements));
    }
  }
  for (const OpView& op : function.ops()) {
    const Shape *x = op.shape("x"), *result = op.result_shape();
    if (!op.is("conv") || x == nullptr || result == nullptr) continue;
    if (x->rank() < 2 || result->rank() < 2) continue;
    const std::int64_t in = (*x)[1], out = (*result)[1];
    if (in % kChannelBlock != 0 || out % kChannelBlock != 0) {
      report.add(op, fmt::format("{} to {} channels, not multiples of {}", in, out, kChannelBlock));
    }
  }
}

constexpr NotDecidable kSurfaces = {"it is about surfaces, which the driver makes"};

constexpr Rule kPortRules[] = {
    {57, "Rows of 64 bytes", Effect::status, Certainty::E,
     "Compiled programs report strides, and rows were always padded to 64 bytes. That one fact "
     "explains five rules of other projects about smallest sizes. Data packed without padding is "
     "right only where a row is a multiple of 64 bytes.",
     "Use a last axis of a multiple of 32 fp16 numbers, or strides as reported: the driver does.",
     "ironmill, tmc/apple; the conclusion is ours", FunctionCheck{rows}},
    {58, "Ports are found by symbol index", Effect::data, Certainty::B,
     "Reports of alphabetical order and of the order of declaration are both explained by indices "
     "that the compiled program tells. Where they are not read, names in alphabetical order are "
     "right under both.",
     "Read the indices (the driver does), or name ports a_…, b_… in order.",
     "Orion, libane, ironmill, tmc/apple, maderix/ANE PR 22", FunctionCheck{order}},
    {59, "Ports of one size", Effect::status, Certainty::D,
     "All inputs of one size, and all outputs, say three projects; two run different sizes.",
     "Read the strides (the driver does), or pack ports into one tensor.",
     "Orion, libane, ironmill against maderix/ANE PR 22, MiniMax-H3", FunctionCheck{uniform_sizes}},
    {60, "Several inputs work", Effect::fact, Certainty::D,
     "A single-input rule was stated once and is contradicted by four projects with up to 98 "
     "inputs.",
     "Nothing.", "maderix/ANE against PR 22, tmc/apple, Orion, ane-train",
     NotDecidable{"contradicted: there is nothing to look for"}},
    {61, "Order of sizes on M1", Effect::data, Certainty::D,
     "Inputs of growing and outputs of shrinking size, or silent zeros, by one report on M1.",
     "Order ports so, or pack them into one tensor.", "ane-train (M1)",
     FunctionCheck{monotone_sizes}},
    {62, "A surface's start offset is ignored", Effect::data, Certainty::C,
     "objectWithIOSurface:startOffset: reads from the beginning all the same.",
     "One surface for one tensor.", "libane", kSurfaces},
    {63, "Granules of 16 elements and 32 channels", Effect::speed, Certainty::C,
     "Rows are moved 16 fp16 numbers at a time, channels computed 32 at a time; 128 bytes are "
     "claimed for M5.",
     "Choose sizes that are multiples.", "ane-guide, rustane, maderix/ANE PR 35",
     FunctionCheck{granules}},
    {64, "Row strides are multiples of 64", Effect::status, Certainty::C,
     "Surfaces with other strides should not be made.", "Nothing: the driver checks.", "tmc/apple",
     kSurfaces},
};

}  // namespace

Rules port_rules() { return kPortRules; }

}  // namespace anemone::engine::ane::lint

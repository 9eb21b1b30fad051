// Rules 86 to 94: what makes programs slow, with estimates from their shapes.
#include <fmt/format.h>

#include "anemone/base/counted.h"
#include "anemone/engine/ane/lint/cost.h"
#include "anemone/engine/ane/lint/rule.h"

namespace anemone::engine::ane::lint {
namespace {

bool is_dispatch_bound(const Cost& cost, const Target& target) {
  return busy_seconds(cost, target) < kDispatchSeconds;
}

void dispatch(const FunctionView& function, Report& report) {
  const Cost cost = estimate(function);
  const double seconds = busy_seconds(cost, function.target());
  if (function.ops().empty() || !is_dispatch_bound(cost, function.target())) return;
  report.add(function, fmt::format("computes for about {:.3g} ms, while a dispatch takes {:.2g} ms",
                                   seconds * 1e3, kDispatchSeconds * 1e3));
}

void linear_product(const OpView& op, Report& report) {
  if (op.is("matmul") && (op.constant("x") != nullptr || op.constant("y") != nullptr)) {
    report.add(op, "one operand is a constant: a 1x1 conv is about three times as fast");
  }
}

constexpr double kMega = 1e6;

void residency(const FunctionView& function, Report& report) {
  const Cost cost = estimate(function);
  const Amount &working = function.target().working_set_bytes,
               &resident = function.target().resident_bytes;
  if (cost.peak_bytes > working.value) {
    report.add(function,
               fmt::format("needs {:.1f} MB at once; above about {:.0f} MB it is slower "
                           "by a third",
                           cost.peak_bytes / kMega, working.value / kMega),
               working.certainty);
  } else if (cost.peak_bytes > resident.value) {
    report.add(function,
               fmt::format("needs {:.1f} MB at once; about {:.2g} MB stay on the chip",
                           cost.peak_bytes / kMega, resident.value / kMega),
               resident.certainty);
  }
  const double bytes = cost.port_bytes + cost.constant_bytes;
  if (cost.flops > 0 && bytes > 0 && cost.flops / bytes < kRidgeFlopsPerByte) {
    report.add(function,
               fmt::format("{:.0f} operations a byte of inputs, outputs and constants: "
                           "below {:.0f} memory decides",
                           cost.flops / bytes, kRidgeFlopsPerByte),
               Certainty::C);
  }
}

constexpr int kFewOps = 4;

void shallow(const FunctionView& function, Report& report) {
  const Cost cost = estimate(function);
  if (cost.computing_ops == 0 || cost.computing_ops >= kFewOps) return;
  if (is_dispatch_bound(cost, function.target())) return;  // said by rule 86
  report.add(function, counted(static_cast<std::uint64_t>(cost.computing_ops), "operation") +
                           " in the program");
}

constexpr std::int64_t kFewPositions = 64;

void positions(const OpView& op, Report& report) {
  const Shape* result = op.result_shape();
  if (!op.is("conv") || result == nullptr || result->rank() < 3) return;
  std::int64_t spatial = 1;
  for (int axis = 2; axis < result->rank(); ++axis) spatial *= (*result)[axis];
  if (spatial <= kFewPositions) report.add(op, fmt::format("over {} positions", spatial));
}

void wide_ports(const FunctionView& function, Report& report) {
  if (!function.target().takes.fp32_io.holds) return;  // an error, by rule 28
  for (const auto* ports : {&function.function().inputs, &function.function().outputs}) {
    for (const mil::Value port : *ports) {
      if (function.dtype(port) != DType::fp32) continue;
      report.add(function, port, fmt::format("'{}' is fp32", function.function().name_of(port)));
    }
  }
}

// A slice of an input's width, behind any views of it.
bool is_packed_weight(const FunctionView& function, mil::Value value) {
  for (std::size_t step = 0; step < function.ops().size(); ++step) {
    const OpView* op = function.producer(value);
    if (op == nullptr || !moves_only(*op)) return false;
    const Shape *x = op->shape("x"), *result = op->result_shape();
    const bool slice = op->is_any("slice_by_size", "slice_by_index", "split");
    if (slice && x != nullptr && result != nullptr && x->rank() > 0 &&
        x->rank() == result->rank() && function.is_input(op->value("x"))) {
      return (*x)[x->rank() - 1] != (*result)[x->rank() - 1];
    }
    value = op->value("x");
  }
  return false;
}

void packed_weights(const OpView& op, Report& report) {
  if (!op.is("matmul")) return;
  const FunctionView& function = op.function();
  const mil::Value x = op.value("x"), y = op.value("y");
  if (!(function.origin(x) == function.origin(y))) return;
  if (is_packed_weight(function, x) && is_packed_weight(function, y)) {
    report.add(op, "both operands are slices of the width of one input");
  }
}

constexpr Rule kSpeedRules[] = {
    {86, "A dispatch takes about 0.1 ms", Effect::speed, Certainty::B,
     "0.095 ms on M4, 0.06 to 0.23 across chips, whatever the program computes. The estimate "
     "divides the products' work by the best rate published for the chip.",
     "Put more into one program.", "maderix/ANE, ANEForge, PR 23, PR 40", FunctionCheck{dispatch}},
    {87, "A 1x1 conv is faster than matmul", Effect::speed, Certainty::B,
     "About three times, measured on M4, for a linear layer with baked weights.",
     "Keep data as [1, C, 1, S] and write linear layers as conv.", "maderix/ANE",
     OpCheck{linear_product}},
    {88, "What fits on the chip", Effect::speed, Certainty::D,
     "A third slower past a working set of about 32 MB on M4. A region of 2 MB (M1) or 4.72 MB "
     "(M5) "
     "stays resident. 141 operations a byte are where memory and arithmetic balance. The "
     "estimate adds up the values that are alive at once.",
     "Cut the tensors, or recompute what is large.", "maderix/ANE, ane-guide",
     FunctionCheck{residency}},
    {89, "Deep programs are faster", Effect::speed, Certainty::B,
     "Chains of 16 to 64 operations reach 94 % of the peak, a single one some 30 %; twelve layers "
     "fused were three times as fast as twelve programs.",
     "Put more into one program.", "maderix/ANE, its issue 24", FunctionCheck{shallow}},
    {90, "Many positions are faster", Effect::speed, Certainty::C,
     "10 TFLOP/s for 64 positions, 16.8 for 2,048, on M3 Pro.", "Use longer sequences or batches.",
     "maderix/ANE benchmark report", OpCheck{positions}},
    {91, "How long compiling takes", Effect::fact, Certainty::B,
     "10 to 30 ms for a small program, 3 to 9 s for sixty; loading 1.7 ms; from the cache ten "
     "times "
     "as fast. Compiling beside evaluating slows it by at most 13 %.",
     "Nothing.", "maderix/ANE, PR 22, PR 23", NotDecidable{"it depends on the machine"}},
    {92, "Quality of service changes nothing", Effect::fact, Certainty::C,
     "0 to 63 all work and are equally fast on M5.", "Nothing.", "maderix/ANE PR 35",
     NotDecidable{"it is about the call, not about the program"}},
    {93, "fp16 ports are faster", Effect::speed, Certainty::C,
     "By 37 % than fp32 ports with casts inside.", "Convert on the host.", "maderix/ANE",
     FunctionCheck{wide_ports}},
    {94, "Weights as inputs of their own", Effect::speed, Certainty::C,
     "30 % faster than weights packed behind the activations along the width of one input.",
     "Give weights as inputs.", "maderix/ANE PR 22", OpCheck{packed_weights}},
};

}  // namespace

Rules speed_rules() { return kSpeedRules; }

}  // namespace anemone::engine::ane::lint

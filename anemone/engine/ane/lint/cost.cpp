// One pass over the operations for work, one over lifetimes for memory.
#include "anemone/engine/ane/lint/cost.h"

#include <algorithm>
#include <limits>

namespace anemone::engine::ane::lint {
namespace {

constexpr double kTypicalFlops = 1e13;  // where no rate was published

double flops_of(const OpView& op) {
  const Shape* result = op.result_shape();
  if (result == nullptr) return 0;
  const double elements = static_cast<double>(result->elements());
  if (op.is("matmul")) return 2 * elements * static_cast<double>(contraction(op).value_or(0));
  const Shape* weight = op.shape("weight");
  if (!op.is_any("conv", "linear") || weight == nullptr || weight->rank() == 0) return 0;
  if ((*weight)[0] == 0) return 0;
  return 2 * elements * static_cast<double>(weight->elements() / (*weight)[0]);
}

double constants_of(const OpView& op) {
  double bytes = 0;
  for (const OpView::Argument& argument : op.arguments()) {
    for (const mil::Value value : argument.values) {
      if (value.valid() && op.function().is_constant(value)) bytes += op.function().bytes(value);
    }
  }
  return bytes;
}

// The last operation that reads each value, directly or through views of it.
std::vector<std::size_t> last_uses(const FunctionView& function) {
  std::vector<std::size_t> last(function.function().values.size(), 0);
  for (const OpView& op : function.ops()) {
    for (const mil::Value value : op.operands()) {
      const mil::Value whole = function.origin(value);
      for (const mil::Value used : {value, whole}) {
        last[static_cast<std::size_t>(used.index)] = op.index();
      }
    }
  }
  for (const mil::Value output : function.function().outputs) {
    last[static_cast<std::size_t>(function.origin(output).index)] =
        std::numeric_limits<std::size_t>::max();
  }
  return last;
}

double peak_of(const FunctionView& function) {
  const std::vector<std::size_t> last = last_uses(function);
  std::vector<std::vector<mil::Value>> dying(function.ops().size());
  double alive = 0, peak = 0;
  const auto born = [&](mil::Value value) {
    alive += function.bytes(value);
    const std::size_t end = last[static_cast<std::size_t>(value.index)];
    if (end < dying.size()) dying[end].push_back(value);
  };
  for (const mil::Value input : function.function().inputs) born(input);
  for (const OpView& op : function.ops()) {
    if (!moves_only(op)) {
      for (const mil::Value result : op.results()) {
        if (result.valid()) born(result);
      }
    }
    peak = std::max(peak, alive + constants_of(op));
    for (const mil::Value value : dying[op.index()]) alive -= function.bytes(value);
  }
  return peak;
}

}  // namespace

Cost estimate(const FunctionView& function) {
  Cost cost;
  for (const OpView& op : function.ops()) {
    cost.flops += flops_of(op);
    cost.computing_ops += moves_only(op) ? 0 : 1;
  }
  for (const mil::Value value : function.function().inputs)
    cost.port_bytes += function.bytes(value);
  for (const mil::Value value : function.function().outputs)
    cost.port_bytes += function.bytes(value);
  for (const mil::Operation& op : function.function().ops) {
    if (op.constant == nullptr) continue;
    for (const mil::Value value : op.results) cost.constant_bytes += function.bytes(value);
  }
  cost.peak_bytes = peak_of(function);
  return cost;
}

double busy_seconds(const Cost& cost, const Target& target) {
  return cost.flops / (target.peak_flops.value > 0 ? target.peak_flops.value : kTypicalFlops);
}

}  // namespace anemone::engine::ane::lint

// Removes operations whose results no output depends on, and the values they define. Operations
// without results stay: they are there for their effect. Inputs stay: they are the interface.
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "anemone/mil/passes/passes.h"

namespace anemone::mil {
namespace {

std::size_t at(Value value) { return static_cast<std::size_t>(value.index); }

// Which operations must stay; operations come after those they use, so one walk backwards does.
std::vector<bool> find_live_ops(const Function& function, std::vector<bool>& live_values) {
  std::vector<bool> live(function.ops.size());
  for (const Value output : function.outputs) live_values[at(output)] = true;
  for (std::size_t i = function.ops.size(); i-- > 0;) {
    const Operation& op = function.ops[i];
    bool needed = op.results.empty();
    for (const Value result : op.results) needed = needed || live_values[at(result)];
    if (!needed) continue;
    live[i] = true;
    for (const Value result : op.results) live_values[at(result)] = true;
    for (const auto& values : op.arguments) {
      for (const Value value : values) live_values[at(value)] = true;
    }
  }
  for (const Value input : function.inputs) live_values[at(input)] = true;
  return live;
}

}  // namespace

bool eliminate_dead_code(Function& function, PassContext&) {
  std::vector<bool> live_values(function.values.size());
  const std::vector<bool> live = find_live_ops(function, live_values);
  std::vector<Value> renumbered(function.values.size());
  std::vector<ValueInfo> values;
  for (std::size_t i = 0; i < function.values.size(); ++i) {
    if (!live_values[i]) continue;
    renumbered[i] = {static_cast<std::int32_t>(values.size())};
    values.push_back(std::move(function.values[i]));
  }
  const bool changed = values.size() != function.values.size() ||
                       std::find(live.begin(), live.end(), false) != live.end();
  function.values = std::move(values);

  const auto renumber = [&](std::vector<Value>& list) {
    for (Value& value : list) value = renumbered[at(value)];
  };
  std::vector<Operation> ops;
  for (std::size_t i = 0; i < function.ops.size(); ++i) {
    if (!live[i]) continue;
    Operation& op = function.ops[i];
    for (auto& list : op.arguments) renumber(list);
    renumber(op.results);
    for (const Value result : op.results) {
      function.info(result).op = static_cast<std::int32_t>(ops.size());
    }
    ops.push_back(std::move(op));
  }
  function.ops = std::move(ops);
  renumber(function.inputs);
  renumber(function.outputs);
  return changed;
}

}  // namespace anemone::mil

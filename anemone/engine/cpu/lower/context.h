// What a lowering sees: the group, where its values lie, the machine, and how to register what its
// step reads and writes.
#pragma once

#include <string>
#include <vector>

#include "anemone/base/cpu_features.h"
#include "anemone/engine/cpu/constants.h"
#include "anemone/engine/cpu/group_graph.h"
#include "anemone/engine/cpu/placement.h"
#include "anemone/engine/cpu/step.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {

struct Machine {
  CpuFeatures features;
  compute::ProductPrecision products = compute::ProductPrecision::full;
  int threads = 1;
};

class LowerContext {
 public:
  LowerContext(const GroupGraph& graph, const Group& group, const Placement& placement,
               Constants& constants, const Machine& machine)
      : function_(graph.function()),
        group_(group),
        placement_(placement),
        constants_(constants),
        machine_(machine) {}

  const mil::Function& function() const { return function_; }
  const Group& group() const { return group_; }
  const Machine& machine() const { return machine_; }
  const CpuFeatures& features() const { return machine_.features; }
  Constants& constants() const { return constants_; }

  // The operation at `index` of the group; the first one is the one whose row is consulted.
  const mil::Operation& op(std::size_t index = 0) const;
  mil::OpContext op_context(std::size_t index = 0) const;
  // The argument given for a parameter of the operation; invalid if absent.
  mil::Value argument(std::string_view param, std::size_t index = 0) const;

  DType dtype(mil::Value value) const { return function_.type(value).dtype; }
  const Shape& shape(mil::Value value) const { return function_.type(value).shape; }
  const Layout& layout(mil::Value value) const;
  double bytes(mil::Value value) const;
  bool is_empty(mil::Value value) const { return shape(value).elements() == 0; }

  // Where the first element of a value lies, noted as read or written by the step.
  Operand read(mil::Value value, Step& step) const;
  Operand write(mil::Value value, Step& step) const;
  // Notes that `result` may overwrite `operand`, if they lie alike.
  void allow_in_place(mil::Value operand, mil::Value result, Step& step) const;
  // The constant whose memory `value` is a view of; invalid if it is none.
  mil::Value constant_behind(mil::Value value) const;

 private:
  Operand operand(mil::Value value) const;
  const mil::Function& function_;
  const Group& group_;
  const Placement& placement_;
  Constants& constants_;
  const Machine& machine_;
};

}  // namespace anemone::cpu

// Arithmetic on elements as programs for compute/elementwise.h: how each operation appends to a
// program, and how programs of virtual registers get slots.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "anemone/compute/elementwise.h"
#include "anemone/mil/ir.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {

// A program being written: every step gives a new register.
class MathProgram {
 public:
  explicit MathProgram(const mil::Function& function) : function_(function) {}

  // The one number a value holds, if it is a constant of one element.
  std::optional<float> number(mil::Value value) const;
  // The register of a value: computed before, or loaded from memory.
  int value(mil::Value value);
  int step(compute::ElementwiseOp op, int a = -1, int b = -1, int c = -1, float immediate = 0);
  void define(mil::Value result, int reg) { registers_[result.index] = reg; }

  struct Slots {
    std::vector<mil::Value> inputs;  // input i is loaded into slot i
    std::vector<compute::ElementwiseStep> steps;
    std::vector<std::uint8_t> outputs;  // the slot of each output asked for
  };
  // Nothing if it takes more slots than there are.
  std::optional<Slots> assign_slots(std::span<const mil::Value> outputs) const;

 private:
  struct Instruction {
    compute::ElementwiseOp op;
    int dst, a, b, c;
    float immediate;
  };
  const mil::Function& function_;
  std::map<std::int32_t, int> registers_;  // by value
  std::vector<mil::Value> inputs_;
  std::vector<int> input_registers_;
  std::vector<Instruction> instructions_;
  int next_ = 0;
};

struct MathRule {
  // Appends the operation; returns the register of its result.
  int (*append)(MathProgram& program, const mil::OpContext& op);
  bool converts = false;  // takes integers too: loading and storing is all it does
};

// Empty if the operation can be computed with fp32 arithmetic, or why not.
std::string math_refusal(const mil::Function& function, const mil::Operation& op);

// The program of several operations (ascending), or nothing if it needs too many slots.
std::optional<MathProgram::Slots> math_program(const mil::Function& function,
                                               std::span<const int> ops,
                                               std::span<const mil::Value> outputs);

extern const MathRule kAdd, kSub, kMul, kRealDiv, kMaximum, kPow, kSqrt, kRsqrt, kExp, kSigmoid,
    kSilu, kTanh, kCast, kSelect;

}  // namespace anemone::cpu

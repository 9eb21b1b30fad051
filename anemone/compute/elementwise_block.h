// The steps of an elementwise program over one block of elements, for those who loop over blocks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "anemone/compute/elementwise.h"
#include "anemone/compute/slots.h"

namespace anemone::compute {

using kernels::ElementwiseOperand;

// The slots at `slots`, `stride` floats apart, as the operands of steps.
template <std::size_t Count>
std::array<ElementwiseOperand, Count> slot_operands(float* slots, std::ptrdiff_t stride) {
  std::array<ElementwiseOperand, Count> operands;
  for (std::size_t i = 0; i < Count; ++i)
    operands[i].data = slots + static_cast<std::ptrdiff_t>(i) * stride;
  return operands;
}

class ElementwiseBlock {
 public:
  explicit ElementwiseBlock(const ElementwisePlan& plan) : plan_(plan) {
    for (int i = 0; i < plan.slots; ++i) at(i).data = slot(i);
    for (int i = 0; i < inputs(); ++i) at(ElementwisePlan::kMaxSlots + i).data = slot(i);
  }

  // Elements [begin, begin + count) of the program, kBlock at most. The last step's result is
  // written to `result` and nowhere else if the plan has an output for it (ElementwisePlan::result)
  // and whole vectors fit; returns whether it was. Else, and for other outputs, it is in its slot.
  bool run(std::span<const void* const> tensors, std::int64_t begin, std::int64_t count,
           ElementwiseOperand result) {
    const bool whole = count % kernels::kSlotMultiple == 0;
    for (int i = 0; i < inputs(); ++i) read(i, tensors[static_cast<std::size_t>(i)], begin, count);
    const bool written = whole && plan_.result >= 0 && result.data != nullptr;
    if (written) {
      at(ElementwisePlan::kResult) = result;
    } else if (plan_.result >= 0) {
      at(ElementwisePlan::kResult) = {
          slot(plan_.output_slots[static_cast<std::size_t>(plan_.result)])};
    }
    plan_.kernel->run(plan_.steps.data(), static_cast<int>(plan_.steps.size()), operands_.data(),
                      round_up(count, kernels::kSlotMultiple));
    return written;
  }

  float* slot(int index) { return slots_ + index * kSlotStride; }

 private:
  int inputs() const { return static_cast<int>(plan_.inputs.size()); }
  ElementwiseOperand& at(int operand) { return operands_[static_cast<std::size_t>(operand)]; }

  // Steps read the input where it lies, or it is brought into its slot.
  void read(int input, const void* tensor, std::int64_t begin, std::int64_t count) {
    const Walk& walk = plan_.inputs[static_cast<std::size_t>(input)];
    if (plan_.in_memory[static_cast<std::size_t>(input)] && count % kernels::kSlotMultiple == 0) {
      // Steps only read what is in memory.
      at(input) = {const_cast<std::byte*>(element_at(tensor, walk.type, begin)), walk.type};
    } else {
      at(input) = {slot(input)};
      load_slot(*plan_.convert, walk, tensor, begin, count, slot(input));
    }
  }

  const ElementwisePlan& plan_;
  std::array<ElementwiseOperand, ElementwisePlan::kOperands> operands_;
  alignas(64) float slots_[ElementwisePlan::kMaxSlots * kSlotStride];
};

}  // namespace anemone::compute

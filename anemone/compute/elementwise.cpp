// Elementwise programs: the loop over blocks around the kernel that runs the steps.
#include "anemone/compute/elementwise.h"

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/compute/elementwise_block.h"

namespace anemone::compute {
namespace {

// Some microseconds of work: enough to pay for taking a task, little enough to share out evenly.
constexpr std::int64_t kElementwiseTaskElements = 16 * kBlock;

// x^2, x^0.5, x^-0.5, x^-1 and x^1 without a logarithm. (-0 and -inf then give what sqrt gives.)
ElementwiseStep simplified(ElementwiseStep step) {
  if (step.op != ElementwiseOp::pow_imm) return step;
  const auto becomes = [&step](ElementwiseOp op) {
    step.op = op;
    step.immediate = 0;
    return step;
  };
  if (step.immediate == 2.0f) return becomes(ElementwiseOp::square);
  if (step.immediate == 0.5f) return becomes(ElementwiseOp::sqrt);
  if (step.immediate == -0.5f) return becomes(ElementwiseOp::rsqrt);
  if (step.immediate == -1.0f) return becomes(ElementwiseOp::inverse);
  if (step.immediate == 1.0f) return becomes(ElementwiseOp::copy);
  return step;
}

// Slots must be known and written before they are read; returns their number.
int check_slots(const ElementwiseSpec& spec) {
  bool written[ElementwisePlan::kMaxSlots] = {};
  int slots = 0;
  const auto write = [&](std::size_t slot) {
    ANEMONE_CHECK(slot < std::size(written), "an elementwise program uses too many slots");
    written[slot] = true;
    slots = std::max(slots, static_cast<int>(slot) + 1);
  };
  const auto read = [&](std::uint8_t slot) {
    ANEMONE_CHECK(slot < std::size(written) && written[slot],
                  "an elementwise step reads a slot nobody wrote");
  };
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) write(i);
  for (const ElementwiseStep& step : spec.steps) {
    const int sources = kernels::elementwise_op_sources(step.op);
    if (sources > 0) read(step.a);
    if (sources > 1) read(step.b);
    if (sources > 2) read(step.c);
    write(step.dst);
  }
  for (const ElementwiseOutput& output : spec.outputs) read(output.slot);
  return slots;
}

// What steps can read and write without a slot.
bool is_operand(const Walk& walk) {
  return walk.rank == 1 && walk.strides[0] == 1 &&
         (walk.type == DType::fp32 || walk.type == DType::fp16);
}

bool takes_fp32_only(const ElementwiseStep& step) {
  return step.op == ElementwiseOp::pow || step.op == ElementwiseOp::pow_imm;
}

// Which inputs stay in memory, and the numbers of the operands that steps write then.
void plan_inputs(ElementwisePlan& plan) {
  bool is_wanted[ElementwisePlan::kMaxSlots] = {}, is_written[ElementwisePlan::kMaxSlots] = {};
  for (const std::uint8_t slot : plan.output_slots) is_wanted[slot] = true;
  for (const ElementwiseStep& step : plan.steps) is_written[step.dst] = true;
  for (std::size_t i = 0; i < plan.inputs.size(); ++i)
    plan.in_memory[i] = is_operand(plan.inputs[i]) && (is_written[i] || !is_wanted[i]);

  bool is_moved[ElementwisePlan::kMaxSlots] = {};
  const auto moved = [&](std::uint8_t slot) {
    return static_cast<std::uint8_t>(is_moved[slot] ? ElementwisePlan::kMaxSlots + slot : slot);
  };
  for (ElementwiseStep& step : plan.steps) {
    step.a = moved(step.a);
    step.b = moved(step.b);
    step.c = moved(step.c);
    is_moved[step.dst] = step.dst < plan.inputs.size() && plan.in_memory[step.dst];
    step.dst = moved(step.dst);
  }
}

void plan_result(ElementwisePlan& plan, std::uint8_t last_slot) {
  const auto& slots = plan.output_slots;
  if (std::count(slots.begin(), slots.end(), last_slot) != 1) return;
  plan.result = static_cast<int>(std::find(slots.begin(), slots.end(), last_slot) - slots.begin());
  plan.result_in_memory = is_operand(plan.outputs[static_cast<std::size_t>(plan.result)]);
  plan.steps.back().dst = ElementwisePlan::kResult;
}

// Where the last step writes element `begin`, if it may.
ElementwiseOperand result_at(const ElementwisePlan& plan, std::span<void* const> outputs,
                             std::int64_t begin) {
  if (!plan.result_in_memory) return {};
  const auto output = static_cast<std::size_t>(plan.result);
  const DType type = plan.outputs[output].type;
  return {element_at(outputs[output], type, begin), type};
}

}  // namespace

int ElementwisePlan::tasks() const { return static_cast<int>(divide_up(elements, task_elements)); }

ElementwisePlan plan_elementwise(const ElementwiseSpec& spec, const CpuFeatures& features) {
  ElementwisePlan plan;
  plan.kernel = &kernels::pick_elementwise(features);
  plan.convert = &kernels::pick_convert(features);
  plan.elements = spec.shape.elements();
  // No more than 2^20 tasks, each of whole blocks.
  plan.task_elements = std::max(kElementwiseTaskElements, round_up(plan.elements >> 20, kBlock));
  plan.slots = check_slots(spec);
  for (const ElementwiseInput& input : spec.inputs) {
    ANEMONE_CHECK(kernels::converts(input.type),
                  "an elementwise input has a type it cannot be read from");
    plan.inputs.push_back(make_walk(input.type, spec.shape, input.strides));
  }
  for (const ElementwiseOutput& output : spec.outputs) {
    ANEMONE_CHECK(kernels::converts(output.type),
                  "an elementwise output has a type it cannot be stored as");
    plan.outputs.push_back(make_walk(output.type, spec.shape, output.strides));
    plan.output_slots.push_back(output.slot);
  }
  for (const ElementwiseStep& step : spec.steps) plan.steps.push_back(simplified(step));
  plan.in_memory.assign(plan.inputs.size(), false);
  if (plan.steps.empty() || std::any_of(plan.steps.begin(), plan.steps.end(), takes_fp32_only))
    return plan;
  const std::uint8_t last_slot = plan.steps.back().dst;
  plan_inputs(plan);
  plan_result(plan, last_slot);
  return plan;
}

void run(ThreadPool& pool, const ElementwisePlan& plan, std::span<const void* const> inputs,
         std::span<void* const> outputs) {
  ANEMONE_CHECK(inputs.size() == plan.inputs.size() && outputs.size() == plan.outputs.size(),
                "an elementwise program needs a pointer for each input and output");
  pool.run(plan.tasks(), [&](int task, int) {
    ElementwiseBlock block(plan);
    const std::int64_t first = task * plan.task_elements;
    const std::int64_t end = std::min(plan.elements, first + plan.task_elements);
    for (std::int64_t begin = first; begin < end; begin += kBlock) {
      const std::int64_t count = std::min(kBlock, end - begin);
      // What is stored now and read next is fetched while this block is computed.
      for (std::size_t i = 0; i < outputs.size(); ++i)
        prefetch_slot(plan.outputs[i], outputs[i], begin, count);
      const std::int64_t next = begin + kBlock;
      for (std::size_t i = 0; i < inputs.size() && next < end; ++i)
        prefetch_slot(plan.inputs[i], inputs[i], next, std::min(kBlock, end - next));
      const bool stored = block.run(inputs, begin, count, result_at(plan, outputs, begin));
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (stored && static_cast<int>(i) == plan.result) continue;
        store_slot(*plan.convert, plan.outputs[i], block.slot(plan.output_slots[i]), begin, count,
                   outputs[i]);
      }
    }
  });
}

}  // namespace anemone::compute

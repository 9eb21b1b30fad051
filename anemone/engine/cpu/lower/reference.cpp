// The way that always works: an operation by its reference meaning, on copies in double. Slow, and
// it allocates; explain() shows every one with the reasons why nothing faster took it.
#include <fmt/format.h>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/engine/cpu/lower/context.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/mil/evaluate.h"

namespace anemone::cpu {
namespace {

struct Tensor {
  Operand operand;
  DType dtype = DType::fp32;
  Layout layout;
  bool valid() const { return operand.storage >= 0; }
};

// Calls body(index of the element in row-major order, its place) for every element.
template <class Body>
void for_each_place(const Layout& layout, Body&& body) {
  const std::int64_t count = layout.shape.elements();
  const int rank = layout.shape.rank();
  std::int64_t index[Shape::kMaxRank] = {};
  std::int64_t place = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    body(i, place);
    for (int axis = rank - 1; axis >= 0; --axis) {
      const std::int64_t stride = layout.strides[static_cast<std::size_t>(axis)];
      place += stride;
      if (++index[axis] < layout.shape[axis]) break;
      place -= stride * index[axis];
      index[axis] = 0;
    }
  }
}

// Elements are addressed from their first one, since a stride may be negative.
std::byte* element(std::byte* first, DType dtype, std::int64_t place) {
  return first + place * static_cast<std::int64_t>(dtype_size(dtype));
}

struct ReferenceCall {
  const mil::Function* function = nullptr;
  const mil::Operation* op = nullptr;
  std::vector<std::vector<Tensor>> inputs;
  std::vector<Tensor> outputs;

  void run(const Frame& frame) const {
    std::vector<std::vector<std::vector<double>>> values(inputs.size());
    std::vector<std::vector<mil::EvalTensor<const double>>> arguments(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      for (const Tensor& tensor : inputs[i]) {
        values[i].push_back(load(frame, tensor));
        arguments[i].push_back({tensor.layout.shape, values[i].back()});
      }
    }
    std::vector<std::vector<double>> computed;
    std::vector<mil::EvalTensor<double>> results;
    for (const Tensor& tensor : outputs)
      computed.emplace_back(static_cast<std::size_t>(tensor.layout.shape.elements()));
    for (std::size_t i = 0; i < outputs.size(); ++i)
      results.push_back({outputs[i].layout.shape, computed[i]});
    mil::evaluate_op<double>(*function, *op, arguments, results);
    for (std::size_t i = 0; i < outputs.size(); ++i) store(frame, outputs[i], computed[i]);
  }

  static std::vector<double> load(const Frame& frame, const Tensor& tensor) {
    if (!tensor.valid()) return {};
    std::vector<double> values(static_cast<std::size_t>(tensor.layout.shape.elements()));
    std::byte* first = frame.at(tensor.operand);
    for_each_place(tensor.layout, [&](std::int64_t i, std::int64_t place) {
      values[static_cast<std::size_t>(i)] =
          load_element(tensor.dtype, element(first, tensor.dtype, place), 0);
    });
    return values;
  }

  static void store(const Frame& frame, const Tensor& tensor, const std::vector<double>& values) {
    std::byte* first = frame.at(tensor.operand);
    for_each_place(tensor.layout, [&](std::int64_t i, std::int64_t place) {
      store_element(tensor.dtype, element(first, tensor.dtype, place), 0,
                    values[static_cast<std::size_t>(i)]);
    });
  }
};

std::string lower_reference(LowerContext& context, Step& step) {
  ANEMONE_CHECK(context.group().ops.size() == 1, "a fused group has a fast path");
  ReferenceCall call;
  call.function = &context.function();
  call.op = &context.op();
  for (const auto& argument : context.op().arguments) {
    auto& tensors = call.inputs.emplace_back();
    for (const mil::Value value : argument) {
      Tensor tensor{{}, context.dtype(value), {}};
      if (dtype_size(tensor.dtype) > 0) {  // strings are read from the operation itself
        tensor.layout = context.layout(value);
        tensor.operand = context.read(value, step);
      }
      tensors.push_back(std::move(tensor));
    }
  }
  for (const mil::Value value : context.op().results) {
    call.outputs.push_back(
        {context.write(value, step), context.dtype(value), context.layout(value)});
  }
  step.reference = true;
  step.implementation =
      fmt::format("reference evaluation, {}", context.shape(context.op().results[0]).to_string());
  step.call = Call(std::move(call));
  return {};
}

}  // namespace

const Alternative kReferenceAlternative = {"reference", lower_reference};

}  // namespace anemone::cpu

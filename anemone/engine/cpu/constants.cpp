// Making and renewing the constants of a compiled program.
#include "anemone/engine/cpu/constants.h"

#include <cstring>

#include "anemone/base/error.h"

namespace anemone::cpu {

Layout constant_layout(const mil::Function& function, mil::Value value) {
  const mil::Constant* constant = function.constant(value);
  ANEMONE_CHECK(constant != nullptr, "a constant");
  const Shape& shape = constant->type().shape;
  const mil::WeightRef* weight = constant->weight();
  if (weight == nullptr || !weight->transposed) return Layout::contiguous(shape);
  const std::vector<std::int64_t> swapped = [&] {
    std::vector<std::int64_t> axes;
    for (int axis = 0; axis < shape.rank(); ++axis) axes.push_back(axis);
    if (axes.size() > 1) std::swap(axes[0], axes[1]);
    return axes;
  }();
  Shape stored = shape;
  if (shape.rank() > 1) std::swap(stored[0], stored[1]);
  return transposed(Layout::contiguous(stored), swapped);
}

Constants::Constants(const mil::Function& function, mil::ConstantSource& source,
                     compute::ThreadPool& pool)
    : function_(function), source_(source), pool_(pool) {}

const mil::Constant& Constants::constant(mil::Value value) const {
  const mil::Constant* constant = function_.constant(value);
  ANEMONE_CHECK(constant != nullptr, "a constant");
  return *constant;
}

// The store's fp32 values of a weight; null for other constants.
const float* Constants::store_values(mil::Value value) const {
  const mil::Constant& constant = this->constant(value);
  const mil::WeightRef* weight = constant.weight();
  if (weight == nullptr) return nullptr;
  if (source_.weights() == nullptr)
    throw Error("a program with weights is compiled without a weight store",
                function_.name_of(value));
  const mil::WeightStore::Tensor& tensor = source_.weights()->get(weight->name);
  const auto wanted = static_cast<std::size_t>(constant.type().shape.elements());
  if (tensor.values.size() != wanted) {
    throw Error(
        "weight " + weight->name + " has " + std::to_string(tensor.values.size()) + " values",
        function_.name_of(value), std::to_string(wanted) + " for " + constant.type().to_string());
  }
  return tensor.values.data();
}

std::byte* Constants::plain(mil::Value value) {
  for (const auto& known : plain_) {
    if (known->value == value) return known->data;
  }
  auto made = std::make_unique<Plain>();
  made->value = value;
  const mil::Constant& constant = this->constant(value);
  if (constant.has_bytes()) {
    // Only read: the operands of a step are not const, since results are among them.
    made->data = const_cast<std::byte*>(constant.bytes().data());
  } else {
    const std::int64_t elements = constant.type().shape.elements();
    made->memory =
        AlignedBuffer(static_cast<std::size_t>(elements) * dtype_size(constant.type().dtype));
    made->data = made->memory.data();
    if (constant.weight() != nullptr) {
      const Strides one{1};
      made->from_store =
          compute::plan_copy({Shape{elements}, DType::fp32, one, constant.type().dtype, one});
    }
    fill(*made);
  }
  plain_.push_back(std::move(made));
  return plain_.back()->data;
}

void Constants::fill(Plain& plain) {
  if (const float* values = store_values(plain.value)) {
    compute::run(pool_, plain.from_store, values, plain.data);
    return;
  }
  std::vector<std::byte> scratch;
  const std::span<const std::byte> bytes = source_.bytes(constant(plain.value), scratch);
  ANEMONE_CHECK(bytes.size() <= plain.memory.size(), "a constant of the size of its type");
  std::memcpy(plain.data, bytes.data(), bytes.size());
}

const compute::PackedMatrix* Constants::packed(mil::Value value, std::ptrdiff_t offset,
                                               std::ptrdiff_t row_stride, std::ptrdiff_t col_stride,
                                               const compute::GemmPlan& plan,
                                               compute::GemmSide side) {
  const Source source{value, offset, row_stride, col_stride};
  for (const auto& known : packed_) {
    if (known->source == source && known->side == side && known->matrix.fits(plan, side))
      return &known->matrix;
  }
  auto made = std::make_unique<Packed>();
  *made = {source, side, compute::PackedMatrix(plan, side)};
  pack(source, made->matrix);
  packed_.push_back(std::move(made));
  return &packed_.back()->matrix;
}

const compute::PackedLanes* Constants::packed(mil::Value value, std::ptrdiff_t offset,
                                              std::ptrdiff_t lane_stride,
                                              std::ptrdiff_t depth_stride,
                                              const compute::GemvPlan& plan) {
  const Source source{value, offset, lane_stride, depth_stride};
  for (const auto& known : lanes_) {
    if (known->source == source && known->matrix.fits(plan)) return &known->matrix;
  }
  auto made = std::make_unique<Lanes>();
  *made = {source, compute::PackedLanes(plan)};
  pack(source, made->matrix);
  lanes_.push_back(std::move(made));
  return &lanes_.back()->matrix;
}

template <class Matrix>
void Constants::pack(const Source& source, Matrix& matrix) {
  std::vector<std::byte> scratch;
  compute::ConstMatrixRef from;
  from.row_stride = source.row_stride;
  from.col_stride = source.col_stride;
  if (const float* values = store_values(source.value)) {
    from.data = reinterpret_cast<const std::byte*>(values);
    from.type = DType::fp32;
  } else {
    from.data = source_.bytes(constant(source.value), scratch).data();
    from.type = constant(source.value).type().dtype;
  }
  from.data += source.offset * static_cast<std::ptrdiff_t>(dtype_size(from.type));
  matrix.pack(pool_, from);
}

void Constants::update() {
  for (const auto& plain : plain_) {
    if (constant(plain->value).weight() != nullptr) fill(*plain);
  }
  for (const auto& packed : packed_) {
    if (constant(packed->source.value).weight() != nullptr) pack(packed->source, packed->matrix);
  }
  for (const auto& lanes : lanes_) {
    if (constant(lanes->source.value).weight() != nullptr) pack(lanes->source, lanes->matrix);
  }
}

std::size_t Constants::packed_bytes() const {
  std::size_t bytes = 0;
  for (const auto& packed : packed_) bytes += packed->matrix.bytes();
  for (const auto& lanes : lanes_) bytes += lanes->matrix.bytes();
  return bytes;
}

std::vector<engine::PackedWeight> Constants::packed_weights() const {
  std::vector<engine::PackedWeight> weights;
  const auto add = [&](const auto& form) {
    if (const mil::WeightRef* weight = constant(form->source.value).weight())
      weights.push_back({weight->name, form->matrix.bytes()});
  };
  for (const auto& packed : packed_) add(packed);
  for (const auto& lanes : lanes_) add(lanes);
  return weights;
}

std::size_t Constants::bytes() const {
  std::size_t bytes = packed_bytes();
  for (const auto& plain : plain_) bytes += plain->memory.size();
  return bytes;
}

}  // namespace anemone::cpu

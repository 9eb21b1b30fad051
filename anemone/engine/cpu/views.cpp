// Layouts of views, from the constants of their operations.
#include "anemone/engine/cpu/views.h"

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/engine/cpu/lower/op_table.h"

namespace anemone::cpu {
namespace {

using mil::OpContext;

const Shape& result_shape(const OpContext& op, int result) {
  const mil::Value value = op.operation().results[static_cast<std::size_t>(result)];
  return op.function().type(value).shape;
}

int param(const OpContext& op, std::string_view name) {
  const int index = op.def().find_param(name);
  ANEMONE_CHECK(index >= 0, "a parameter of the definition");
  return index;
}

// reshape, expand_dims, squeeze, identity: the same elements in the same order.
std::optional<Layout> reshape_forward(const OpContext& op, int result, const Layout& in) {
  return reshaped(in, result_shape(op, result));
}
std::optional<Layout> reshape_backward(const OpContext& op, const Layout& out) {
  return reshaped(out, op.shape(0));
}

std::vector<std::int64_t> permutation(const OpContext& op) {
  std::vector<std::int64_t> axes = op.integers(param(op, "perm"));
  for (std::int64_t& axis : axes) axis = normalize_axis(axis, op.shape(0).rank()).value_or(0);
  return axes;
}
std::optional<Layout> transpose_forward(const OpContext& op, int, const Layout& in) {
  return transposed(in, permutation(op));
}
std::optional<Layout> transpose_backward(const OpContext& op, const Layout& out) {
  return transposed_back(out, permutation(op));
}

std::optional<Layout> slice_by_size_forward(const OpContext& op, int result, const Layout& in) {
  const std::vector<std::int64_t> begin = op.integers(param(op, "begin"));
  Layout out = in;
  for (int axis = 0; axis < in.shape.rank(); ++axis) {
    std::int64_t first = begin[static_cast<std::size_t>(axis)];
    if (first < 0) first += in.shape[axis];
    out = sliced(out, axis, first, 1, result_shape(op, result)[axis]);
  }
  return out;
}

bool is_set(const mil::Constant* mask, int axis) {
  return mask != nullptr && mask->number(static_cast<std::size_t>(axis)) != 0;
}

std::optional<Layout> slice_by_index_forward(const OpContext& op, int result, const Layout& in) {
  const int rank = in.shape.rank();
  const std::vector<std::int64_t> begin = op.integers(param(op, "begin"));
  const std::vector<std::int64_t> step = op.integers_or(param(op, "stride"), rank, 1);
  const mil::Constant* begin_mask = op.constant(param(op, "begin_mask"));
  const mil::Constant* squeeze_mask = op.constant(param(op, "squeeze_mask"));
  Layout out = in;
  const Shape& shape = result_shape(op, result);
  int kept = 0;
  for (int axis = 0; axis < rank; ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    const std::int64_t dim = in.shape[axis];
    const bool squeezed = is_set(squeeze_mask, axis);
    std::int64_t first = begin[i] < 0 ? begin[i] + dim : begin[i];
    if (is_set(begin_mask, axis)) first = step[i] > 0 || squeezed ? 0 : dim - 1;
    first = std::clamp<std::int64_t>(first, 0, std::max<std::int64_t>(0, dim - 1));
    out = sliced(out, axis, first, step[i], squeezed ? 1 : shape[kept]);
    if (!squeezed) ++kept;
  }
  return reshaped(out, shape);  // drops the squeezed dimensions
}

std::optional<Layout> split_forward(const OpContext& op, int result, const Layout& in) {
  const auto axis = normalize_axis(op.integer(param(op, "axis")), in.shape.rank()).value_or(0);
  std::int64_t begin = 0;
  for (int i = 0; i < result; ++i) begin += result_shape(op, i)[axis];
  return sliced(in, axis, begin, 1, result_shape(op, result)[axis]);
}

bool only_first_is_computed(const mil::Function& function, const mil::Operation& op) {
  for (std::size_t i = 1; i < op.arguments.size(); ++i) {
    for (const mil::Value value : op.arguments[i]) {
      const mil::Constant* constant = function.constant(value);
      if (constant == nullptr || !(constant->has_bytes() || constant->has_strings())) return false;
    }
  }
  return !op.arguments.empty() && op.arguments.front().size() == 1;
}

}  // namespace

const ViewRule kReshapeView = {reshape_forward, reshape_backward};
const ViewRule kTransposeView = {transpose_forward, transpose_backward};
const ViewRule kSliceBySizeView = {slice_by_size_forward, nullptr};
const ViewRule kSliceByIndexView = {slice_by_index_forward, nullptr};
const ViewRule kSplitView = {split_forward, nullptr};

const ViewRule* view_rule(const mil::Function& function, const mil::Operation& op) {
  const ViewRule* rule = op_row(op.kind).view;
  return rule != nullptr && only_first_is_computed(function, op) ? rule : nullptr;
}

bool is_concat(const mil::Function&, const mil::Operation& op) { return op_row(op.kind).concat; }

Layout concat_part(const OpContext& op, int index, const Layout& out) {
  const int values = param(op, "values");
  const int axis = *normalize_axis(op.integer(param(op, "axis")), out.shape.rank());
  const int interleave = op.def().find_param("interleave");
  if (interleave >= 0 && op.boolean(interleave))
    return sliced(out, axis, index, op.count(values), op.shape(values, index)[axis]);
  std::int64_t begin = 0;
  for (int i = 0; i < index; ++i) begin += op.shape(values, i)[axis];
  return sliced(out, axis, begin, 1, op.shape(values, index)[axis]);
}

}  // namespace anemone::cpu

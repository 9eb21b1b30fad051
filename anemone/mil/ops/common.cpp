// Checks and shapes shared by definitions of operations.
#include "anemone/mil/ops/common.h"

#include <fmt/format.h>

#include <algorithm>

#include "anemone/base/error.h"

namespace anemone::mil {

int checked_axis(std::int64_t axis, int rank) {
  const auto normalized = normalize_axis(axis, rank);
  if (!normalized.has_value()) {
    if (rank == 0) throw Error(fmt::format("axis {} is out of range for a scalar", axis));
    throw Error(fmt::format("axis {} is out of range for a tensor of rank {} (allowed: {}..{})",
                            axis, rank, -rank, rank - 1));
  }
  return *normalized;
}

std::vector<int> checked_axes(std::span<const std::int64_t> axes, int rank) {
  std::vector<int> normalized;
  for (const std::int64_t axis : axes) {
    const int a = checked_axis(axis, rank);
    if (std::find(normalized.begin(), normalized.end(), a) != normalized.end()) {
      throw Error(fmt::format("axis {} is given twice", axis));
    }
    normalized.push_back(a);
  }
  return normalized;
}

Shape broadcast_shapes(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape out;
  for (int axis = 0; axis < rank; ++axis) {
    const int in_a = axis - (rank - a.rank()), in_b = axis - (rank - b.rank());
    const std::int64_t da = in_a < 0 ? 1 : a[in_a], db = in_b < 0 ? 1 : b[in_b];
    if (da != db && da != 1 && db != 1) {
      throw Error(fmt::format("shapes {} and {} do not go together", a.to_string(), b.to_string()),
                  {}, "dimensions that are equal or 1, aligned at the last one");
    }
    out.push_back(da == 1 ? db : da);
  }
  return out;
}

DType same_dtype(const OpContext& op, int param, int other) {
  const DType dtype = op.dtype(param);
  if (op.dtype(other) != dtype) {
    const auto& params = op.def().params;
    throw Error(fmt::format("{} is {} but {} is {}", params[static_cast<std::size_t>(param)].name,
                            dtype_name(dtype), params[static_cast<std::size_t>(other)].name,
                            dtype_name(op.dtype(other))),
                {}, "one element type");
  }
  return dtype;
}

std::vector<Type> infer_like_first(const OpContext& op) { return {op.type(0)}; }

std::vector<Type> infer_broadcast(const OpContext& op) {
  const DType dtype = same_dtype(op, 0, 1);
  return {Type::tensor(dtype, broadcast_shapes(op.shape(0), op.shape(1)))};
}

Strides broadcast_strides(const Shape& from, const Shape& to) {
  const Strides own = contiguous_strides(from);
  Strides strides{};
  for (int axis = 0; axis < from.rank(); ++axis) {
    const int target = axis + to.rank() - from.rank();
    strides[static_cast<std::size_t>(target)] =
        from[axis] == 1 ? 0 : own[static_cast<std::size_t>(axis)];
  }
  return strides;
}

}  // namespace anemone::mil

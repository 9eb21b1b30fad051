// Copies: the shape is brought to matrices of rows, or of a transposition, and those are cut into
// tasks.
#include "anemone/compute/copy.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/compute/slots.h"

namespace anemone::compute {
namespace {

constexpr std::int64_t kCopyTaskElements = 32 * 1024;

template <class T>
void move_strided(const std::byte* in, std::ptrdiff_t in_stride, std::byte* out,
                  std::ptrdiff_t out_stride, std::int64_t n) {
  const T* from = reinterpret_cast<const T*>(in);
  T* to = reinterpret_cast<T*>(out);
  for (std::int64_t i = 0; i < n; ++i) to[i * out_stride] = from[i * in_stride];
}

void move_row(const CopyPlan& plan, const std::byte* in, std::byte* out) {
  const std::size_t size = dtype_size(plan.in_type);
  if (plan.column_in == 1 && plan.column_out == 1) {
    std::memcpy(out, in, size * static_cast<std::size_t>(plan.columns));
    return;
  }
  const auto move = size == 1   ? move_strided<std::uint8_t>
                    : size == 2 ? move_strided<std::uint16_t>
                    : size == 4 ? move_strided<std::uint32_t>
                                : move_strided<std::uint64_t>;
  move(in, plan.column_in, out, plan.column_out, plan.columns);
}

void convert_row(const CopyPlan& plan, const std::byte* in, std::byte* out) {
  alignas(64) float slot[kSlotStride];
  for (std::int64_t begin = 0; begin < plan.columns; begin += kBlock) {
    const std::int64_t n = std::min(kBlock, plan.columns - begin);
    plan.kernel->load(plan.in_type, element_at(in, plan.in_type, begin * plan.column_in),
                      plan.column_in, slot, n);
    plan.kernel->store(plan.out_type, slot, element_at(out, plan.out_type, begin * plan.column_out),
                       plan.column_out, n);
  }
}

// Converts a transposed matrix strip by strip: rows into a small fp32 matrix, that transposed, then
// stored.
void convert_transposed(const CopyPlan& plan, const std::byte* in, std::byte* out,
                        std::int64_t rows) {
  constexpr std::int64_t kSide = 64, kStride = kSide + kernels::kSlotMultiple;
  alignas(64) float straight[kSide * kStride], turned[kSide * kStride];
  for (std::int64_t row = 0; row < rows; row += kSide) {
    const std::int64_t height = std::min(kSide, rows - row);
    for (std::int64_t column = 0; column < plan.columns; column += kSide) {
      const std::int64_t width = std::min(kSide, plan.columns - column);
      for (std::int64_t r = 0; r < height; ++r) {
        plan.kernel->load(plan.in_type,
                          element_at(in, plan.in_type, (row + r) * plan.row_in + column), 1,
                          straight + r * kStride, width);
      }
      plan.kernel->transpose({straight, turned, kStride, kStride, height, width, sizeof(float)});
      for (std::int64_t c = 0; c < width; ++c) {
        plan.kernel->store(plan.out_type, turned + c * kStride,
                           element_at(out, plan.out_type, (column + c) * plan.column_out + row), 1,
                           height);
      }
    }
  }
}

void run_block(const CopyPlan& plan, std::int64_t group, const void* in, void* out) {
  const PairedWalk::Offsets at = plan.outer.at(group / plan.blocks);
  const std::int64_t row = group % plan.blocks * plan.block_rows;
  const std::int64_t rows = std::min(plan.block_rows, plan.rows - row);
  const std::byte* from = element_at(in, plan.in_type, at.in + row * plan.row_in);
  std::byte* to = element_at(out, plan.out_type, at.out + row * plan.row_out);
  const bool same = plan.in_type == plan.out_type;
  if (plan.kind == CopyPlan::Kind::transpose) {
    if (same) {
      plan.kernel->transpose(
          {from, to, plan.row_in, plan.column_out, rows, plan.columns, dtype_size(plan.in_type)});
    } else {
      convert_transposed(plan, from, to, rows);
    }
    return;
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::byte* row_from = element_at(from, plan.in_type, r * plan.row_in);
    std::byte* row_to = element_at(to, plan.out_type, r * plan.row_out);
    if (same) {
      move_row(plan, row_from, row_to);
    } else {
      convert_row(plan, row_from, row_to);
    }
  }
}

// The dimension with unit stride in `strides`; among several the longest.
int unit_axis(const PairedWalk& walk, const std::ptrdiff_t* strides) {
  int found = -1;
  for (int axis = 0; axis < walk.rank; ++axis) {
    if (strides[axis] == 1 && (found < 0 || walk.dims[axis] > walk.dims[found])) found = axis;
  }
  return found;
}

}  // namespace

int CopyPlan::tasks() const { return static_cast<int>(divide_up(groups, task_groups)); }

bool copy_supports(DType from, DType to) {
  return dtype_size(from) != 0 &&
         (from == to || (kernels::converts(from) && kernels::converts(to)));
}

CopyPlan plan_copy(const CopySpec& spec, const CpuFeatures& features) {
  ANEMONE_CHECK(copy_supports(spec.in_type, spec.out_type), "no copy between these element types");
  CopyPlan plan;
  plan.kernel = &kernels::pick_convert(features);
  plan.in_type = spec.in_type;
  plan.out_type = spec.out_type;
  PairedWalk walk = make_paired_walk(spec.shape, kAllAxes, spec.in_strides, spec.out_strides);
  if (walk.positions() == 0) return plan;

  const int in_axis = unit_axis(walk, walk.in), out_axis = unit_axis(walk, walk.out);
  const bool transpose = in_axis >= 0 && out_axis >= 0 && walk.in[out_axis] != 1 &&
                         walk.out[in_axis] != 1 && walk.in[out_axis] != 0;
  const auto take = [&walk](int axis, std::int64_t& n, std::ptrdiff_t& in, std::ptrdiff_t& out) {
    n = walk.dims[axis];
    in = walk.in[axis];
    out = walk.out[axis];
    walk.erase(axis);
  };
  if (transpose) {
    plan.kind = CopyPlan::Kind::transpose;
    take(in_axis, plan.columns, plan.column_in, plan.column_out);
    take(out_axis > in_axis ? out_axis - 1 : out_axis, plan.rows, plan.row_in, plan.row_out);
  } else if (walk.rank > 0) {
    take(out_axis >= 0 ? out_axis : walk.rank - 1, plan.columns, plan.column_in, plan.column_out);
    if (walk.rank > 0) take(walk.rank - 1, plan.rows, plan.row_in, plan.row_out);
  }
  plan.outer = walk;
  // Blocks of whole rows, a multiple of 64 of them in a transposition, so that no two tasks write
  // one cache line.
  plan.block_rows = std::max<std::int64_t>(1, kCopyTaskElements / plan.columns);
  if (transpose) plan.block_rows = round_up(plan.block_rows, 64);
  plan.blocks = divide_up(plan.rows, plan.block_rows);
  plan.groups = plan.outer.positions() * plan.blocks;
  plan.task_groups = std::max<std::int64_t>(
      1, kCopyTaskElements /
             std::max<std::int64_t>(1, std::min(plan.rows, plan.block_rows) * plan.columns));
  return plan;
}

void run(ThreadPool& pool, const CopyPlan& plan, const void* in, void* out) {
  if (plan.groups == 0) return;
  pool.run(plan.tasks(), [&](int task, int) {
    const std::int64_t first = task * plan.task_groups;
    const std::int64_t end = std::min(plan.groups, first + plan.task_groups);
    for (std::int64_t group = first; group < end; ++group) run_block(plan, group, in, out);
  });
}

}  // namespace anemone::compute

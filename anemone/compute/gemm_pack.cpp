// Bringing operands into the kernel's order: at every run for variable ones, once for constants.
#include "anemone/compute/gemm_pack.h"

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/compute/slots.h"

namespace anemone::compute {
namespace {

// Where depth p of a lane lies in the first plane of a panel, in elements.
std::int64_t panel_index(const kernels::GemmKernel& kernel, const GemmPlan::Side& side,
                         std::int64_t p, int lane) {
  const kernels::PanelLayout layout = side.is_left ? kernel.left : kernel.right;
  const int group = layout.lanes == 0 ? side.width : layout.lanes;
  const std::int64_t step = p / kernel.k_step, in_step = p % kernel.k_step;
  return step * kernel.k_step * side.depth_elements + lane / group * group * kernel.k_step +
         (in_step / layout.depths * group + lane % group) * layout.depths + in_step % layout.depths;
}

// What lies inside the panel's range of depths but outside a lane's own part of the triangle.
void clear_outside(const GemmPlan& plan, const GemmPlan::Side& side, std::int64_t panel,
                   DepthRange range, std::byte* to) {
  const kernels::GemmKernel& kernel = *plan.kernel;
  const std::int64_t plane = static_cast<std::int64_t>(side.width) * kernel.k_step;
  const std::size_t size = dtype_size(kernel.panel);
  for (int lane = 0; lane < side.width; ++lane) {
    const std::int64_t at = panel * side.width + lane;
    const std::int64_t begin = side.depth_to_lane ? at + 1 : range.begin;
    const std::int64_t end = side.depth_to_lane ? range.end : std::min(range.end, at);
    for (std::int64_t p = std::max(begin, range.begin); p < end; ++p) {
      const std::int64_t index = panel_index(kernel, side, p, lane);
      for (int i = 0; i < kernel.planes; ++i)
        std::fill_n(element_at(to, kernel.panel, index + i * plane), size, std::byte{0});
    }
  }
}

}  // namespace

DepthRange panel_depths(const GemmPlan& plan, const GemmPlan::Side& side, std::int64_t panel) {
  DepthRange range{0, plan.depth};
  const std::int64_t first = panel * side.width;
  const std::int64_t step = plan.kernel->k_step;
  if (side.depth_to_lane) range.end = std::min(range.end, round_up(first + side.width, step));
  if (side.depth_from_lane) range.begin = std::min(range.end, first / step * step);
  return range;
}

void pack_panel(const GemmPlan& plan, const GemmPlan::Side& side, const void* source,
                std::int64_t item, std::int64_t panel, std::byte* to) {
  const DepthRange range = panel_depths(plan, side, panel);
  const std::int64_t first = panel * side.width;
  kernels::GemmPack args;
  args.source = element_at(source, side.operand.type,
                           item * side.operand.batch_stride + first * side.lane_stride +
                               range.begin * side.depth_stride);
  args.type = side.operand.type;
  args.lane_stride = side.lane_stride;
  args.depth_stride = side.depth_stride;
  args.lanes = static_cast<int>(std::min<std::int64_t>(side.width, side.lanes - first));
  args.left = side.is_left;
  args.width = side.width;
  args.k = std::min(range.end, plan.spec.k) - range.begin;
  args.round_bf16 =
      plan.spec.precision == ProductPrecision::bf16 && side.operand.type != DType::bf16;
  args.panel = element_at(to, plan.kernel->panel, range.begin * side.depth_elements);
  if (args.k > 0) plan.kernel->pack(args);
  if (side.depth_to_lane || side.depth_from_lane) clear_outside(plan, side, panel, range, to);
}

PackedMatrix::PackedMatrix(const GemmPlan& plan, GemmSide side)
    : kernel_(plan.kernel), convert_(plan.convert) {
  is_left_ = (side == GemmSide::a) != plan.transposed;
  by_rows_ = side == GemmSide::a;
  side_ = is_left_ ? plan.left : plan.right;
  ANEMONE_CHECK(side_.operand.constant, "only an operand marked constant is packed ahead");
  round_bf16_ = plan.spec.precision == ProductPrecision::bf16;
  k_ = plan.spec.k;
  data_ = AlignedBuffer(static_cast<std::size_t>(side_.panels * side_.panel_elements) *
                        dtype_size(side_.storage));
}

bool PackedMatrix::fits(const GemmPlan& plan, GemmSide side) const {
  const bool left = (side == GemmSide::a) != plan.transposed;
  const GemmPlan::Side& wanted = left ? plan.left : plan.right;
  return kernel_ == plan.kernel && is_left_ == left && k_ == plan.spec.k &&
         wanted.operand.constant && side_.lanes == wanted.lanes &&
         side_.storage == wanted.storage && side_.operand.type == wanted.operand.type &&
         round_bf16_ == (plan.spec.precision == ProductPrecision::bf16);
}

void PackedMatrix::pack(ThreadPool& pool, ConstMatrixRef source) {
  ANEMONE_CHECK(kernel_ != nullptr, "this packed matrix was made for no plan");
  ANEMONE_CHECK(
      source.type == DType::fp16 || source.type == DType::bf16 || source.type == DType::fp32,
      "a product's operands are fp16, bf16 or fp32");
  kernels::GemmPack all;
  all.type = source.type;
  all.lane_stride = by_rows_ ? source.row_stride : source.col_stride;
  all.depth_stride = by_rows_ ? source.col_stride : source.row_stride;
  all.left = is_left_;
  all.width = side_.width;
  const DType type = side_.operand.type;
  all.round_fp16 = type == DType::fp16 && source.type != DType::fp16;
  all.round_bf16 = (round_bf16_ || type == DType::bf16) && source.type != DType::bf16;
  pool.run(static_cast<int>(side_.panels), [&](int panel, int) {
    kernels::GemmPack args = all;
    const std::int64_t first = static_cast<std::int64_t>(panel) * side_.width;
    const std::byte* from = element_at(source.data, source.type, first * all.lane_stride);
    std::byte* to = element_at(data_.data(), side_.storage, panel * side_.panel_elements);
    args.lanes = static_cast<int>(std::min<std::int64_t>(side_.width, side_.lanes - first));
    if (side_.storage == kernel_->panel) {
      args.source = from;
      args.k = k_;
      args.panel = to;
      if (k_ > 0) kernel_->pack(args);
      return;
    }
    // In steps through fp32; the values are rounded already, so that storing them is exact.
    constexpr std::int64_t kDepths = 64;
    alignas(64) float floats[kDepths * kernels::kMaxGemmWidth];
    for (std::int64_t p = 0; p < k_; p += kDepths) {
      args.source = element_at(from, source.type, p * all.depth_stride);
      args.k = std::min(kDepths, k_ - p);
      args.panel = floats;
      kernel_->pack(args);
      convert_->store(side_.storage, floats, element_at(to, side_.storage, p * side_.width), 1,
                      args.k * side_.width);
    }
  });
}

}  // namespace anemone::compute

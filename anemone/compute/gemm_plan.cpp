// Planning matrix products: roles of the operands, the grid of tasks, memory.
#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/compute/gemm.h"
#include "anemone/compute/slots.h"

namespace anemone::compute {
namespace {

// The grid is made finer until it has this many tasks, so that some dozen threads find work; it
// must not depend on how many there really are, because the order of sums may not.
constexpr std::int64_t kEnoughTasks = 24;
constexpr std::int64_t kPackTaskElements = 32 * 1024;
constexpr std::size_t kAlign = 64;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

GemmPlan::Side make_side(const GemmPlan& plan, const GemmOperand& operand, bool lanes_are_rows,
                         std::int64_t lanes, bool is_left) {
  const GemmSpec& spec = plan.spec;
  const kernels::GemmKernel& kernel = *plan.kernel;
  ANEMONE_CHECK(is_product_type(operand.type), "a product's operands are fp16, bf16 or fp32");
  ANEMONE_CHECK(
      !operand.constant || (operand.batch_stride == 0 && operand.triangle == Triangle::full),
      "a constant operand is whole, and one for the whole batch");
  GemmPlan::Side side;
  side.operand = operand;
  side.lane_stride = lanes_are_rows ? operand.row_stride : operand.col_stride;
  side.depth_stride = lanes_are_rows ? operand.col_stride : operand.row_stride;
  side.lanes = lanes;
  side.is_left = is_left;
  side.width = is_left ? kernel.mr : kernel.nr;
  side.depth_elements = static_cast<std::int64_t>(side.width) * kernel.planes;
  side.panels = divide_up(lanes, side.width);
  // Of A, rows are lanes and columns are depths; of B the other way round.
  const bool lower = operand.triangle == Triangle::lower,
             upper = operand.triangle == Triangle::upper;
  side.depth_to_lane = lanes_are_rows ? lower : upper;
  side.depth_from_lane = lanes_are_rows ? upper : lower;
  side.batch = operand.constant || operand.batch_stride == 0 ? 1 : spec.batch;
  // Whole slots, because constants are unpacked by loads that fill up to a multiple of that.
  side.panel_elements = round_up(plan.depth * side.depth_elements, kernels::kSlotMultiple);
  side.storage = kernel.panel;
  if (operand.constant && kernel.panel == DType::fp32) {
    side.storage = spec.precision == ProductPrecision::bf16 ? DType::bf16 : operand.type;
  }
  return side;
}

// What the packing region does for one side: nothing for panels used as stored or prepared in
// tasks.
void plan_packing(GemmPlan& plan, GemmPlan::Side& side, bool in_task) {
  const bool ready = side.operand.constant && side.storage == plan.kernel->panel;
  if (ready || in_task) return;
  const std::int64_t elements = side.batch * side.panels * side.panel_elements;
  side.workspace_bytes =
      aligned(static_cast<std::size_t>(elements) * dtype_size(plan.kernel->panel));
  side.packs = true;
  const std::int64_t panels = side.batch * side.panels;
  plan.pack_tasks =
      std::max(plan.pack_tasks, std::min(panels, divide_up(elements, kPackTaskElements)));
}

// Whether each panel of a variable operand is needed by one task only. `sharers`: tasks of an item
// that use it.
bool is_private(const GemmPlan& plan, const GemmPlan::Side& side, std::int64_t sharers) {
  return !side.operand.constant && sharers == 1 && side.batch == plan.spec.batch;
}

// What it costs workers to share a side, in bytes: a constant comes from memory, a variable operand
// from the cache of the worker that packed it, after having been taken away from those who read it
// the time before.
double cost_of_sharing(const GemmPlan::Side& side) {
  constexpr double kTaken = 3;
  return static_cast<double>(side.batch * side.panels * side.panel_elements) *
         static_cast<double>(dtype_size(side.storage)) * (side.operand.constant ? 1 : kTaken);
}

// Panels of a block, about `wanted`: a remainder of less than half a block is spread over the
// others.
std::int64_t even_block(std::int64_t panels, std::int64_t wanted) {
  const std::int64_t blocks = std::max<std::int64_t>(1, (panels + wanted / 2) / wanted);
  return std::max<std::int64_t>(1, divide_up(panels, blocks));
}

void count_tasks(GemmPlan& plan) {
  plan.m_tasks = divide_up(plan.left.panels, plan.m_block);
  plan.n_tasks = divide_up(plan.right.panels, plan.n_block);
}
bool has_enough_tasks(const GemmPlan& plan) {
  return plan.spec.batch * plan.m_tasks * plan.n_tasks >= kEnoughTasks;
}

void plan_tasks(GemmPlan& plan) {
  const kernels::GemmKernel& kernel = *plan.kernel;
  plan.m_block = even_block(plan.left.panels, kernel.m_block);
  plan.n_block = std::clamp<std::int64_t>(plan.right.panels, 1, kernel.n_block);
  for (;;) {
    count_tasks(plan);
    // A tile's work pays for a task when it is deep enough.
    const bool worthwhile = plan.m_block * plan.n_block * plan.depth > 1024;
    if (has_enough_tasks(plan) || !worthwhile) return;
    if (plan.n_block >= plan.m_block && plan.n_block > 1) {
      plan.n_block = divide_up(plan.n_block, 2);
    } else if (plan.m_block > 1) {
      plan.m_block = divide_up(plan.m_block, 2);
    } else {
      return;
    }
  }
}

void plan_grid(GemmPlan& plan) {
  const kernels::GemmKernel& kernel = *plan.kernel;
  plan.right_outer = cost_of_sharing(plan.right) > cost_of_sharing(plan.left);
  // Blocks of equal depth, or nearly.
  const std::int64_t k_blocks = std::max<std::int64_t>(1, divide_up(plan.depth, kernel.k_block));
  plan.depth_block = round_up(divide_up(plan.depth, k_blocks), kernel.k_step);
  plan_tasks(plan);
}

}  // namespace

std::size_t GemmPlan::workspace_bytes(int threads) const {
  return left.workspace_bytes + right.workspace_bytes +
         scratch_bytes * static_cast<std::size_t>(threads);
}

int GemmPlan::tasks() const { return static_cast<int>(spec.batch * m_tasks * n_tasks); }

const char* GemmPlan::kernel_name() const { return kernel->name; }

double GemmPlan::flops() const {
  return 2.0 * static_cast<double>(spec.batch) * static_cast<double>(spec.m) *
         static_cast<double>(spec.n) * static_cast<double>(spec.k);
}

GemmPlan plan_gemm(const GemmSpec& spec, const CpuFeatures& features) {
  ANEMONE_CHECK(is_product_type(spec.c.type) && is_product_type(spec.residual.type),
                "a product and its residual are fp16, bf16 or fp32");
  ANEMONE_CHECK(spec.m >= 0 && spec.n >= 0 && spec.k >= 0 && spec.batch >= 0,
                "a product has sizes");
  GemmPlan plan;
  plan.spec = spec;
  const bool bf16 = spec.precision == ProductPrecision::bf16;
  plan.kernel = &kernels::pick_gemm(features, {spec.a.type, spec.b.type, bf16});
  plan.convert = &kernels::pick_convert(features);
  const kernels::GemmKernel& kernel = *plan.kernel;
  plan.depth = round_up(spec.k, kernel.k_step);
  // The store writes along the kernel's rows. Where both strides are 1 one dimension is 1.
  plan.transposed = spec.c.row_stride == 1 && (spec.c.col_stride != 1 || spec.n < spec.m);
  if (plan.transposed) {
    plan.left = make_side(plan, spec.b, false, spec.n, true);
    plan.right = make_side(plan, spec.a, true, spec.m, false);
  } else {
    plan.left = make_side(plan, spec.a, true, spec.m, true);
    plan.right = make_side(plan, spec.b, false, spec.n, false);
  }
  plan_grid(plan);
  const bool one_block = plan.depth <= plan.depth_block;
  plan.left_in_task = (is_private(plan, plan.left, plan.n_tasks) && one_block) ||
                      (plan.left.operand.constant && plan.left.storage != kernel.panel);
  // There is room for one whole right panel, so blocks of depth must not come back to another.
  plan.right_in_task =
      is_private(plan, plan.right, plan.m_tasks) && (one_block || plan.n_block == 1);
  plan_packing(plan, plan.left, plan.left_in_task);
  plan_packing(plan, plan.right, plan.right_in_task);

  const auto panel_bytes = [&](std::int64_t panels, std::int64_t elements) {
    return aligned(static_cast<std::size_t>(panels * elements) * dtype_size(kernel.panel));
  };
  plan.left_panel = round_up(plan.depth_block * plan.left.depth_elements, kernels::kSlotMultiple);
  plan.left_bytes = plan.left_in_task ? panel_bytes(plan.m_block, plan.left_panel) : 0;
  plan.right_bytes = plan.right_in_task ? panel_bytes(1, plan.right.panel_elements) : 0;
  plan.tiles = plan.depth > plan.depth_block ? plan.m_block * plan.n_block
               : kernel.stores_meanwhile     ? 2
                                             : 1;
  plan.scratch_bytes =
      plan.left_bytes + plan.right_bytes +
      aligned(static_cast<std::size_t>(plan.tiles * kernel.mr * kernel.nr) * sizeof(float)) +
      kWorkerGap;
  return plan;
}

}  // namespace anemone::compute

// Planning, packing and running matrix-vector products.
#include "anemone/compute/gemv.h"

#include <fmt/format.h>

#include <algorithm>

#include "anemone/base/dtype.h"
#include "anemone/base/error.h"
#include "anemone/compute/slots.h"

namespace anemone::compute {
namespace {

constexpr std::int64_t kPanel = kernels::kGemvPanel;
// Lanes of a variable matrix that a kernel does at once; the result waits on the stack.
constexpr std::int64_t kVariableBlock = 64;
// Elements of a task: large enough to pay for itself and for the memory to get going.
constexpr std::int64_t kGemvTaskElements = 48 * 1024;

// Where item `item` of the batch lies.
GemvSpec::BatchDim offsets_of(const GemvSpec& spec, std::int64_t item) {
  GemvSpec::BatchDim at;
  for (int i = spec.batch_dims - 1; i >= 0; --i) {
    const GemvSpec::BatchDim& dim = spec.batch[static_cast<std::size_t>(i)];
    const std::int64_t index = item % dim.size;
    item /= dim.size;
    at.matrix += index * dim.matrix;
    at.x += index * dim.x;
    at.y += index * dim.y;
    at.residual += index * dim.residual;
  }
  return at;
}

// x of all items as floats, one behind the other.
void load_vectors(const GemvPlan& plan, const void* x, float* to) {
  const GemvSpec& spec = plan.spec;
  const bool rounds = spec.precision == ProductPrecision::bf16 && spec.x.type != DType::bf16;
  for (std::int64_t item = 0; item < plan.items; ++item, to += plan.x_room) {
    const std::byte* from = element_at(x, spec.x.type, offsets_of(spec, item).x);
    plan.convert->load(spec.x.type, from, spec.x.stride, to, spec.depth);
    if (!rounds) continue;
    alignas(64) bf16 rounded[kBlock];
    for (std::int64_t p = 0; p < spec.depth; p += kBlock) {
      const std::int64_t n = std::min(kBlock, spec.depth - p);
      plan.convert->store(DType::bf16, to + p, rounded, 1, n);
      plan.convert->load(DType::bf16, rounded, 1, to + p, n);
    }
  }
}

void store_lanes(const GemvPlan& plan, const GemvArgs& args, const GemvSpec::BatchDim& at,
                 std::int64_t first, std::int64_t lanes, const float* y) {
  const GemvSpec& spec = plan.spec;
  kernels::GemmStore store;
  store.tile = y;
  store.rows = 1;
  store.columns = static_cast<int>(lanes);
  store.c = element_at(args.y, spec.y.type, at.y + first * spec.y.stride);
  store.c_type = spec.y.type;
  store.column_stride = spec.y.stride;
  store.alpha = spec.alpha;
  if (spec.has_residual) {
    store.residual =
        element_at(args.residual, spec.residual.type, at.residual + first * spec.residual.stride);
    store.residual_type = spec.residual.type;
    store.residual_column_stride = spec.residual.stride;
  }
  plan.store->store(store);
}

void run_block(const GemvPlan& plan, const GemvArgs& args, const float* vectors,
               std::int64_t number) {
  const GemvSpec& spec = plan.spec;
  const std::int64_t item = number / plan.blocks, block = number % plan.blocks;
  const GemvSpec::BatchDim at = offsets_of(spec, item);
  const std::int64_t first = block * plan.block_lanes;
  const std::int64_t lanes = std::min(plan.block_lanes, spec.lanes - first);
  alignas(64) float y[kVariableBlock];
  kernels::GemvArgs call;
  call.type = plan.storage;
  call.x = vectors + item * plan.x_room;
  call.depth = spec.depth;
  call.y = y;
  if (args.packed != nullptr) {
    call.matrix = args.packed->panel(block);
    call.stride = kPanel;
    call.lanes = kPanel;
    plan.kernel->by_columns(call);
  } else {
    const bool by_columns = spec.matrix.lane_stride == 1;
    call.matrix =
        element_at(args.matrix, plan.storage, at.matrix + first * spec.matrix.lane_stride);
    call.stride = by_columns ? spec.matrix.depth_stride : spec.matrix.lane_stride;
    call.lanes = lanes;
    (by_columns ? plan.kernel->by_columns : plan.kernel->by_rows)(call);
  }
  store_lanes(plan, args, at, first, lanes, y);
}

}  // namespace

std::string gemv_refusal(const GemvSpec& spec) {
  if (!is_product_type(spec.matrix.type) || !is_product_type(spec.x.type) ||
      !is_product_type(spec.y.type) || !is_product_type(spec.residual.type))
    return "not all operands are fp16, bf16 or fp32";
  const bool contiguous = spec.matrix.lane_stride == 1 || spec.matrix.depth_stride == 1;
  if (!spec.matrix.constant && !contiguous) return "the matrix is contiguous in no direction";
  return {};
}

int GemvPlan::tasks() const { return static_cast<int>(divide_up(items * blocks, task_blocks)); }

std::size_t GemvPlan::workspace_bytes() const {
  return static_cast<std::size_t>(items * x_room) * sizeof(float);
}

double GemvPlan::flops() const {
  return 2.0 * static_cast<double>(items) * static_cast<double>(spec.lanes) *
         static_cast<double>(spec.depth);
}

GemvPlan plan_gemv(const GemvSpec& spec, const CpuFeatures& features) {
  ANEMONE_CHECK(gemv_refusal(spec).empty(), "a matrix-vector product that can be planned");
  GemvPlan plan;
  plan.spec = spec;
  plan.kernel = &kernels::pick_gemv(features);
  plan.convert = &kernels::pick_convert(features);
  plan.store = &kernels::pick_gemm(features, {});
  plan.storage = spec.matrix.type;
  if (spec.matrix.constant && spec.precision == ProductPrecision::bf16) plan.storage = DType::bf16;
  for (int i = 0; i < spec.batch_dims; ++i)
    plan.items *= spec.batch[static_cast<std::size_t>(i)].size;
  plan.block_lanes = spec.matrix.constant ? kPanel : kVariableBlock;
  plan.blocks = divide_up(spec.lanes, plan.block_lanes);
  const std::int64_t block_elements = plan.block_lanes * std::max<std::int64_t>(1, spec.depth);
  plan.task_blocks = std::max<std::int64_t>(1, kGemvTaskElements / block_elements);
  // One line more, so that the items' vectors do not fall on each other in the cache.
  plan.x_room = round_up(spec.depth, kernels::kSlotMultiple) + kernels::kSlotMultiple;
  return plan;
}

PackedLanes::PackedLanes(const GemvPlan& plan)
    : packer_(plan.store),
      convert_(plan.convert),
      type_(plan.spec.matrix.type),
      storage_(plan.storage),
      lanes_(plan.spec.lanes),
      depth_(plan.spec.depth) {
  ANEMONE_CHECK(plan.spec.matrix.constant, "only a matrix marked constant is packed ahead");
  data_ =
      AlignedBuffer(static_cast<std::size_t>(plan.blocks * kPanel * depth_) * dtype_size(storage_));
}

bool PackedLanes::fits(const GemvPlan& plan) const {
  return plan.spec.matrix.constant && type_ == plan.spec.matrix.type && storage_ == plan.storage &&
         lanes_ == plan.spec.lanes && depth_ == plan.spec.depth;
}

const std::byte* PackedLanes::panel(std::int64_t index) const {
  return element_at(data_.data(), storage_, index * kPanel * depth_);
}

void PackedLanes::pack(ThreadPool& pool, ConstMatrixRef source) {
  ANEMONE_CHECK(packer_ != nullptr, "this packed matrix was made for no plan");
  kernels::GemmPack all;
  all.type = source.type;
  all.lane_stride = source.row_stride;
  all.depth_stride = source.col_stride;
  all.width = static_cast<int>(kPanel);
  all.round_fp16 = type_ == DType::fp16 && source.type != DType::fp16;
  pool.run(static_cast<int>(divide_up(lanes_, kPanel)), [&](int panel, int) {
    kernels::GemmPack args = all;
    const std::int64_t first = static_cast<std::int64_t>(panel) * kPanel;
    args.lanes = static_cast<int>(std::min(kPanel, lanes_ - first));
    std::byte* to = element_at(data_.data(), storage_, panel * kPanel * depth_);
    // In steps through fp32.
    constexpr std::int64_t kDepths = 64;
    alignas(64) float floats[kDepths * kPanel];
    for (std::int64_t p = 0; p < depth_; p += kDepths) {
      args.source =
          element_at(source.data, source.type, first * source.row_stride + p * source.col_stride);
      args.k = std::min(kDepths, depth_ - p);
      args.panel = floats;
      packer_->pack(args);
      convert_->store(storage_, floats, element_at(to, storage_, p * kPanel), 1, args.k * kPanel);
    }
  });
}

void run(ThreadPool& pool, const GemvPlan& plan, std::span<std::byte> workspace,
         const GemvArgs& args) {
  ANEMONE_CHECK(workspace.size() >= plan.workspace_bytes(), "a product's workspace is too small");
  ANEMONE_CHECK((args.packed != nullptr) == plan.spec.matrix.constant,
                "a constant matrix is given packed");
  auto* vectors = reinterpret_cast<float*>(workspace.data());
  load_vectors(plan, args.x, vectors);
  const std::int64_t all = plan.items * plan.blocks;
  pool.run(plan.tasks(), [&](int task, int) {
    const std::int64_t begin = static_cast<std::int64_t>(task) * plan.task_blocks;
    const std::int64_t end = std::min(all, begin + plan.task_blocks);
    for (std::int64_t number = begin; number < end; ++number)
      run_block(plan, args, vectors, number);
  });
}

}  // namespace anemone::compute

// Packing, products of panels, and stores of attention.
#include "anemone/compute/attention_panels.h"

namespace anemone::compute {

void AttentionWorker::pack_panel(Side side, const Lanes& source, std::byte* to) const {
  kernels::GemmPack args;
  args.source = source.data;
  args.type = source.type;
  args.lane_stride = source.lane_stride;
  args.depth_stride = source.depth_stride;
  args.left = side == Side::left;
  args.lanes = static_cast<int>(source.lanes);
  args.width = args.left ? plan_.gemm->mr : plan_.gemm->nr;
  args.k = source.depth;
  args.round_bf16 =
      plan_.spec.forward.precision == ProductPrecision::bf16 && source.type != DType::bf16;
  args.panel = to;
  plan_.gemm->pack(args);
}

void AttentionWorker::pack(Side side, const Lanes& source, const AttentionPlan::Part& to) const {
  const int width = side == Side::left ? plan_.gemm->mr : plan_.gemm->nr;
  Lanes panel = source;
  for (std::int64_t lane = 0; lane < source.lanes; lane += width) {
    panel.data = element_at(source.data, source.type, lane * source.lane_stride);
    panel.lanes = std::min<std::int64_t>(width, source.lanes - lane);
    pack_panel(side, panel, at(to, lane / width));
  }
}

const std::byte* AttentionWorker::as_right_panel(float* scores, std::int64_t keys,
                                                 int queries) const {
  if (plan_.scores_are_panels) return reinterpret_cast<const std::byte*>(scores);
  std::byte* packed = at(plan_.scratch.packed);
  pack_panel(Side::right, {scores, DType::fp32, 1, plan_.gemm->nr, queries, keys}, packed);
  return packed;
}

void AttentionWorker::multiply_features(const AttentionPlan::Part& left, std::int64_t features,
                                        const std::byte* right, std::int64_t keys,
                                        int queries) const {
  const int mr = plan_.gemm->mr;
  kernels::GemmTile tile;
  tile.k = round_up(keys, plan_.gemm->k_step);
  tile.right = right;
  tile.columns = queries;
  for (std::int64_t feature = 0; feature < features; feature += mr) {
    tile.left = at(left, feature / mr);
    tile.tile = floats(plan_.scratch.tile) + feature * plan_.gemm->nr;
    tile.rows = static_cast<int>(std::min<std::int64_t>(mr, features - feature));
    plan_.gemm->tile(tile);
  }
}

void AttentionWorker::store_features(const AttentionTensor& tensor, void* to, std::int64_t features,
                                     int queries, float alpha) const {
  kernels::GemmStore store;
  store.tile = floats(plan_.scratch.tile);
  store.tile_stride = plan_.gemm->nr;
  store.rows = static_cast<int>(features);
  store.columns = queries;
  store.c = to;
  store.c_type = tensor.type;
  store.row_stride = tensor.feature_stride;
  store.column_stride = tensor.position_stride;
  store.alpha = alpha;
  if (tensor.position_stride != 1 && tensor.feature_stride == 1) {
    // The store writes along rows.
    const std::int64_t stride = round_up(features, kernels::kSlotMultiple);
    float* turned = floats(plan_.scratch.turned);
    plan_.convert->transpose(
        {store.tile, turned, store.tile_stride, stride, store.rows, store.columns, sizeof(float)});
    store.tile = turned;
    store.tile_stride = stride;
    std::swap(store.rows, store.columns);
    std::swap(store.row_stride, store.column_stride);
  }
  plan_.gemm->store(store);
}

}  // namespace anemone::compute

// The parts that attention forward and backward are made of, on a worker's scratch memory; only
// attention_*.cpp include this.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "anemone/compute/attention.h"
#include "anemone/compute/slots.h"

namespace anemone::compute {

inline std::size_t aligned_bytes(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

// Memory for `depth` depths of a panel of `width` lanes.
inline std::size_t panel_bytes(const kernels::GemmKernel& gemm, int width, std::int64_t depth) {
  const std::int64_t elements = round_up(depth, gemm.k_step) * width * gemm.planes;
  return aligned_bytes(static_cast<std::size_t>(elements) * dtype_size(gemm.panel));
}

// A matrix to be packed: lanes x depths.
struct Lanes {
  const void* data = nullptr;
  DType type = DType::fp32;
  std::ptrdiff_t lane_stride = 0, depth_stride = 0;
  std::int64_t lanes = 0, depth = 0;
};

inline Lanes lanes_are_positions(const AttentionTensor& tensor, const void* at,
                                 std::int64_t positions, std::int64_t features) {
  return {at, tensor.type, tensor.position_stride, tensor.feature_stride, positions, features};
}
inline Lanes lanes_are_features(const AttentionTensor& tensor, const void* at,
                                std::int64_t positions, std::int64_t features) {
  return {at, tensor.type, tensor.feature_stride, tensor.position_stride, features, positions};
}

// What one worker does its tasks with.
class AttentionWorker {
 public:
  AttentionWorker(const AttentionPlan& plan, std::byte* scratch) : plan_(plan), scratch_(scratch) {}

  const AttentionPlan& plan() const { return plan_; }
  std::byte* at(const AttentionPlan::Part& part, std::int64_t panel = 0) const {
    return scratch_ + part.at + static_cast<std::size_t>(panel) * part.panel;
  }
  float* floats(const AttentionPlan::Part& part, std::int64_t panel = 0) const {
    return reinterpret_cast<float*>(at(part, panel));
  }

  // Brings a matrix into panels of a product's left or right operand.
  enum class Side : std::uint8_t { left, right };
  void pack(Side side, const Lanes& source, const AttentionPlan::Part& to) const;
  void pack_panel(Side side, const Lanes& source, std::byte* to) const;

  // The rows [0, keys) of a block of scores (or of their gradients): left panels by key · the
  // queries of `right`. after(tile, its first key) sees each tile while it is hot.
  template <class After>
  void multiply_keys(const AttentionPlan::Part& left, std::int64_t depth, const std::byte* right,
                     std::int64_t keys, int queries, float* to, After after) const {
    const int mr = plan_.gemm->mr, nr = plan_.gemm->nr;
    kernels::GemmTile tile;
    tile.k = round_up(depth, plan_.gemm->k_step);
    tile.right = right;
    tile.columns = queries;
    for (std::int64_t key = 0; key < keys; key += mr) {
      tile.left = at(left, key / mr);
      tile.tile = to + key * nr;
      tile.rows = static_cast<int>(std::min<std::int64_t>(mr, keys - key));
      plan_.gemm->tile(tile);
      after(kernels::ScoreBlock{tile.tile, nr, tile.rows, queries}, key);
    }
  }

  // A block of scores as the right operand of a product over its keys.
  const std::byte* as_right_panel(float* scores, std::int64_t keys, int queries) const;
  // plan.scratch.tile[feature][query] = left panels by feature · right, over `keys` depths.
  void multiply_features(const AttentionPlan::Part& left, std::int64_t features,
                         const std::byte* right, std::int64_t keys, int queries) const;
  // Stores that: feature f of query i.
  void store_features(const AttentionTensor& tensor, void* to, std::int64_t features, int queries,
                      float alpha) const;

 private:
  const AttentionPlan& plan_;
  std::byte* scratch_;
};

// Sets to `value` what the queries from `first_query` on do not see of a tile that begins at
// `first_key`.
inline void hide(const kernels::ScoreBlock& tile, std::int64_t first_key, std::int64_t first_query,
                 float value) {
  for (std::int64_t row = 0; row < tile.rows; ++row) {
    const std::int64_t hidden = first_key + row - first_query;
    if (hidden > 0)
      std::fill_n(tile.values + row * tile.stride, std::min<std::int64_t>(hidden, tile.columns),
                  value);
  }
}

// Task number `task` of a backward plan. `sums`: memory of all tasks, if there are several chunks.
void run_backward_task(const AttentionWorker& worker, const AttentionArgs& args, int task,
                       std::byte* sums);
// Several chunks: adds up the sums of all chunks of an item, in order, and stores them.
void finish_backward(const AttentionWorker& worker, const AttentionArgs& args, int item,
                     std::byte* sums);

}  // namespace anemone::compute

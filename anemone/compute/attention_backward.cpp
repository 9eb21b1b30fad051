// The backward pass of attention. A block of queries recomputes its probabilities; dQ is finished
// with the block, dK and dV are sums over blocks, kept in fp32 beside it.
#include <cstring>
#include <limits>

#include "anemone/compute/attention_panels.h"

namespace anemone::compute {
namespace {

using Side = AttentionWorker::Side;

// The sums of a task: tiles of gemm->mr keys x gemm->nr features, key panel by key panel.
struct Sums {
  float *dk = nullptr, *dv = nullptr;
  std::int64_t panels = 0;  // of keys that have been written
};

Sums sums_at(const AttentionPlan& plan, std::byte* memory) {
  auto* floats = reinterpret_cast<float*>(memory);
  return {floats, floats + plan.dv_sums, 0};
}

class Block {
 public:
  Block(const AttentionWorker& worker, const void* q, const void* dout, void* dq,
        std::int64_t first)
      : worker_(worker),
        plan_(worker.plan()),
        spec_(worker.plan().spec.forward),
        q_(q),
        dout_(dout),
        dq_(dq),
        first_(first),
        queries_(std::min<std::int64_t>(std::int64_t{plan_.block_panels} * plan_.gemm->nr,
                                        spec_.queries - first)) {}

  void run(Sums& sums) const {
    const std::int64_t keys = visible(queries_);
    for (std::int64_t query = 0; query < queries_; query += plan_.gemm->nr) run_panel(query, keys);
    pack_features(spec_.q, q_, spec_.head_dim, plan_.scratch.q_by_feature);
    pack_features(spec_.out, dout_, spec_.value_dim, plan_.scratch.dout_by_feature);
    for (std::int64_t panel = 0; panel * plan_.gemm->mr < keys; ++panel) {
      const bool add = panel < sums.panels;
      add_product(plan_.scratch.scores, plan_.scratch.dout_by_feature, spec_.value_dim, panel, keys,
                  add, sums.dv);
      add_product(plan_.scratch.gradients, plan_.scratch.q_by_feature, spec_.head_dim, panel, keys,
                  add, sums.dk);
    }
    sums.panels = std::max(sums.panels, divide_up(keys, plan_.gemm->mr));
  }

 private:
  // Keys that some of the first n queries of the block see.
  std::int64_t visible(std::int64_t n) const { return spec_.causal ? first_ + n : spec_.keys; }

  const std::byte* queries_of(const AttentionTensor& tensor, const void* data,
                              std::int64_t query) const {
    return element_at(data, tensor.type, (first_ + query) * tensor.position_stride);
  }

  // Probabilities and gradients of the scores of one panel of queries, and its dQ. Rows up to
  // `all_keys` are 0 where this panel sees fewer.
  void run_panel(std::int64_t query, std::int64_t all_keys) const {
    const AttentionPlan::Scratch& scratch = plan_.scratch;
    const int nr = plan_.gemm->nr;
    const std::int64_t panel = query / nr;
    const int queries = static_cast<int>(std::min<std::int64_t>(nr, queries_ - query));
    const std::int64_t keys = visible(query + queries);
    float *scores = worker_.floats(scratch.scores, panel),
          *gradients = worker_.floats(scratch.gradients, panel), *sum = worker_.floats(scratch.sum),
          *mean = worker_.floats(scratch.mean);
    compute_probabilities(query, queries, keys, scores, sum);
    compute_gradients(query, queries, keys, scores, gradients, mean);
    for (int i = 0; i < nr; ++i) {
      sum[i] = 1 / sum[i];
      mean[i] *= sum[i];
    }
    plan_.kernel->gradient({scores, nr, keys, queries}, {gradients, nr, keys, queries}, sum, mean);
    const auto rest = static_cast<std::size_t>(all_keys - keys) * sizeof(float);
    std::memset(scores + keys * nr, 0, rest * static_cast<std::size_t>(nr));
    std::memset(gradients + keys * nr, 0, rest * static_cast<std::size_t>(nr));

    const std::byte* right = worker_.as_right_panel(gradients, keys, queries);
    worker_.multiply_features(scratch.k_by_feature, spec_.head_dim, right, keys, queries);
    const AttentionTensor& dq = plan_.spec.dq;
    worker_.store_features(dq, element_at(dq_, dq.type, (first_ + query) * dq.position_stride),
                           spec_.head_dim, queries, plan_.spec.dq_scale);
  }

  // scores = e^(scale · Q Kᵀ - max), not yet divided by their sums.
  void compute_probabilities(std::int64_t query, int queries, std::int64_t keys, float* scores,
                             float* sum) const {
    const int nr = plan_.gemm->nr;
    constexpr float kHidden = -std::numeric_limits<float>::infinity();
    float* max = worker_.floats(plan_.scratch.max);
    std::fill_n(max, nr, kHidden);
    std::fill_n(sum, nr, 0.0f);
    std::byte* right = worker_.at(plan_.scratch.q);
    worker_.pack_panel(
        Side::right,
        lanes_are_positions(spec_.q, queries_of(spec_.q, q_, query), queries, spec_.head_dim),
        right);
    worker_.multiply_keys(plan_.scratch.k_by_key, spec_.head_dim, right, keys, queries, scores,
                          [&](const kernels::ScoreBlock& tile, std::int64_t key) {
                            if (spec_.causal) hide(tile, key, first_ + query, kHidden);
                            plan_.kernel->max(tile, plan_.log2_scale, max);
                          });
    plan_.kernel->exp({scores, nr, keys, queries}, plan_.log2_scale, max, sum);
  }

  // gradients = dOut Vᵀ, and mean = Σ scores · gradients.
  void compute_gradients(std::int64_t query, int queries, std::int64_t keys, float* scores,
                         float* gradients, float* mean) const {
    const int nr = plan_.gemm->nr;
    std::fill_n(mean, nr, 0.0f);
    std::byte* right = worker_.at(plan_.scratch.dout);
    worker_.pack_panel(Side::right,
                       lanes_are_positions(spec_.out, queries_of(spec_.out, dout_, query), queries,
                                           spec_.value_dim),
                       right);
    worker_.multiply_keys(
        plan_.scratch.v_by_key, spec_.value_dim, right, keys, queries, gradients,
        [&](const kernels::ScoreBlock& tile, std::int64_t key) {
          if (spec_.causal) hide(tile, key, first_ + query, 0);
          plan_.kernel->dot({scores + key * nr, nr, tile.rows, queries}, tile, mean);
        });
  }

  // The queries of the whole block as depths.
  void pack_features(const AttentionTensor& tensor, const void* data, std::int64_t features,
                     const AttentionPlan::Part& to) const {
    worker_.pack(Side::right,
                 lanes_are_features(tensor, queries_of(tensor, data, 0), queries_, features), to);
  }

  // sums[key][feature] (+)= Σ over queries of scores[key][query] · right[feature][query].
  void add_product(const AttentionPlan::Part& scores, const AttentionPlan::Part& right,
                   std::int64_t features, std::int64_t panel, std::int64_t keys, bool add,
                   float* sums) const {
    const int mr = plan_.gemm->mr, nr = plan_.gemm->nr;
    const std::int64_t key = panel * mr;
    const std::int64_t rows = std::min<std::int64_t>(mr, keys - key);
    std::byte* left = worker_.at(plan_.scratch.left_scores);
    for (std::int64_t query = 0; query < queries_; query += nr) {
      const float* block = worker_.floats(scores, query / nr) + key * nr;
      const std::int64_t depth = std::min<std::int64_t>(nr, queries_ - query);
      worker_.pack_panel(Side::left, {block, DType::fp32, nr, 1, rows, depth},
                         element_at(left, plan_.gemm->panel, query * mr * plan_.gemm->planes));
    }
    const std::int64_t right_panels = divide_up(features, nr);
    kernels::GemmTile tile;
    tile.k = round_up(queries_, plan_.gemm->k_step);
    tile.left = left;
    // Keys that no query of this block sees get their zeros, too.
    tile.rows = static_cast<int>(std::min<std::int64_t>(mr, spec_.keys - key));
    tile.accumulate = add;
    for (std::int64_t i = 0; i < right_panels; ++i) {
      tile.right = worker_.at(right, i);
      tile.tile = sums + (panel * right_panels + i) * mr * nr;
      tile.columns = static_cast<int>(std::min<std::int64_t>(nr, features - i * nr));
      plan_.gemm->tile(tile);
    }
  }

  const AttentionWorker& worker_;
  const AttentionPlan& plan_;
  const AttentionSpec& spec_;
  const void* q_;
  const void* dout_;
  void* dq_;
  std::int64_t first_, queries_;
};

// Stores sums[key][feature] for all keys.
void store_sums(const AttentionWorker& worker, const float* sums, std::int64_t features,
                const AttentionTensor& tensor, void* to, float alpha) {
  const AttentionPlan& plan = worker.plan();
  const int mr = plan.gemm->mr, nr = plan.gemm->nr;
  const std::int64_t keys = plan.spec.forward.keys, right_panels = divide_up(features, nr);
  const std::int64_t turned_stride = plan.key_panels * mr;
  float* turned = worker.floats(plan.scratch.scores);  // nr rows of all keys
  const bool turn = tensor.position_stride == 1 || tensor.feature_stride != 1;
  for (std::int64_t i = 0; i < right_panels; ++i) {
    kernels::GemmStore store;
    store.c_type = tensor.type;
    store.alpha = alpha;
    const auto columns = static_cast<int>(std::min<std::int64_t>(nr, features - i * nr));
    for (std::int64_t panel = 0; panel < plan.key_panels; ++panel) {
      const float* tile = sums + (panel * right_panels + i) * mr * nr;
      const auto rows = static_cast<int>(std::min<std::int64_t>(mr, keys - panel * mr));
      if (turn) {
        plan.convert->transpose(
            {tile, turned + panel * mr, nr, turned_stride, rows, columns, sizeof(float)});
        continue;
      }
      store.tile = tile;
      store.tile_stride = nr;
      store.rows = rows;
      store.columns = columns;
      store.row_stride = tensor.position_stride;
      store.column_stride = tensor.feature_stride;
      store.c = element_at(to, tensor.type,
                           panel * mr * tensor.position_stride + i * nr * tensor.feature_stride);
      plan.gemm->store(store);
    }
    if (!turn) continue;
    store.tile = turned;
    store.tile_stride = turned_stride;
    store.rows = columns;
    store.columns = static_cast<int>(keys);
    store.row_stride = tensor.feature_stride;
    store.column_stride = tensor.position_stride;
    store.c = element_at(to, tensor.type, i * nr * tensor.feature_stride);
    plan.gemm->store(store);
  }
}

void store_both(const AttentionWorker& worker, const Sums& sums, const AttentionArgs& args,
                const AttentionPlan::Offsets& item) {
  const AttentionBackwardSpec& spec = worker.plan().spec;
  store_sums(worker, sums.dk, spec.forward.head_dim, spec.dk,
             element_at(args.dk, spec.dk.type, item.dk), spec.dk_scale);
  store_sums(worker, sums.dv, spec.forward.value_dim, spec.dv,
             element_at(args.dv, spec.dv.type, item.dv), spec.dv_scale);
}

}  // namespace

void run_backward_task(const AttentionWorker& worker, const AttentionArgs& args, int task,
                       std::byte* all_sums) {
  const AttentionPlan& plan = worker.plan();
  const AttentionSpec& spec = plan.spec.forward;
  const auto number = static_cast<std::size_t>(task);
  const AttentionPlan::Offsets& item = plan.items[number / plan.chunks.size()];
  const AttentionPlan::Chunk& chunk = plan.chunks[number % plan.chunks.size()];
  const bool alone = plan.chunks.size() == 1;
  Sums sums =
      sums_at(plan, alone ? worker.at(plan.scratch.sums) : all_sums + number * plan.sums_bytes);
  const std::byte *k = element_at(args.k, spec.k.type, item.k),
                  *v = element_at(args.v, spec.v.type, item.v);
  worker.pack(Side::left, lanes_are_positions(spec.k, k, chunk.keys, spec.head_dim),
              plan.scratch.k_by_key);
  worker.pack(Side::left, lanes_are_positions(spec.v, v, chunk.keys, spec.value_dim),
              plan.scratch.v_by_key);
  worker.pack(Side::left, lanes_are_features(spec.k, k, chunk.keys, spec.head_dim),
              plan.scratch.k_by_feature);
  for (std::int64_t block = chunk.first; block < chunk.end; ++block) {
    const AttentionPlan::Offsets& member =
        plan.members[static_cast<std::size_t>(block / plan.member_blocks)];
    const Block work(worker, element_at(args.q, spec.q.type, item.q + member.q),
                     element_at(args.dout, spec.out.type, item.out + member.out),
                     element_at(args.dq, plan.spec.dq.type, item.dq + member.dq),
                     block % plan.member_blocks * plan.block_panels * plan.gemm->nr);
    work.run(sums);
  }
  if (alone) store_both(worker, sums, args, item);
}

void finish_backward(const AttentionWorker& worker, const AttentionArgs& args, int item,
                     std::byte* all_sums) {
  const AttentionPlan& plan = worker.plan();
  const kernels::GemmKernel& gemm = *plan.gemm;
  const AttentionSpec& spec = plan.spec.forward;
  const std::size_t first = static_cast<std::size_t>(item) * plan.chunks.size();
  const Sums total = sums_at(plan, all_sums + (first + plan.widest_chunk) * plan.sums_bytes);
  for (std::size_t i = 0; i < plan.chunks.size(); ++i) {
    if (i == plan.widest_chunk) continue;
    const Sums part = sums_at(plan, all_sums + (first + i) * plan.sums_bytes);
    const std::int64_t row = divide_up(plan.chunks[i].keys, gemm.mr) * gemm.mr * gemm.nr;
    const std::int64_t dk = row * divide_up(spec.head_dim, gemm.nr);
    const std::int64_t dv = row * divide_up(spec.value_dim, gemm.nr);
    plan.reduce->accumulate(kernels::ReduceOp::sum, total.dk, part.dk, dk);
    plan.reduce->accumulate(kernels::ReduceOp::sum, total.dv, part.dv, dv);
  }
  store_both(worker, total, args, plan.items[static_cast<std::size_t>(item)]);
}

}  // namespace anemone::compute

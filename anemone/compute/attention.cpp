// Running attention: blocks of queries over the grid of the plan.
#include "anemone/compute/attention.h"

#include <limits>

#include "anemone/base/error.h"
#include "anemone/compute/attention_panels.h"

namespace anemone::compute {
namespace {

using Side = AttentionWorker::Side;

// One block: as many queries as a right panel has lanes.
void run_block(const AttentionWorker& worker, const void* q, void* out, std::int64_t first) {
  const AttentionPlan& plan = worker.plan();
  const AttentionSpec& spec = plan.spec.forward;
  const AttentionPlan::Scratch& scratch = plan.scratch;
  const int nr = plan.gemm->nr;
  const int queries = static_cast<int>(std::min<std::int64_t>(nr, spec.queries - first));
  const std::int64_t keys = spec.causal ? first + queries : spec.keys;
  float *scores = worker.floats(scratch.scores), *max = worker.floats(scratch.max),
        *sum = worker.floats(scratch.sum);
  std::fill_n(max, nr, -std::numeric_limits<float>::infinity());
  std::fill_n(sum, nr, 0.0f);

  const std::byte* from = element_at(q, spec.q.type, first * spec.q.position_stride);
  worker.pack_panel(Side::right, lanes_are_positions(spec.q, from, queries, spec.head_dim),
                    worker.at(scratch.q));
  worker.multiply_keys(scratch.k_by_key, spec.head_dim, worker.at(scratch.q), keys, queries, scores,
                       [&](const kernels::ScoreBlock& tile, std::int64_t key) {
                         if (spec.causal)
                           hide(tile, key, first, -std::numeric_limits<float>::infinity());
                         plan.kernel->max(tile, plan.log2_scale, max);
                       });
  plan.kernel->exp({scores, nr, keys, queries}, plan.log2_scale, max, sum);
  const std::byte* right = worker.as_right_panel(scores, keys, queries);
  worker.multiply_features(scratch.v_by_feature, spec.value_dim, right, keys, queries);
  // Divided by the sum at the end: fewer numbers, and exact for a query that sees one key.
  for (int i = 0; i < nr; ++i) sum[i] = 1 / sum[i];
  plan.kernel->scale({worker.floats(scratch.tile), nr, spec.value_dim, queries}, sum);
  worker.store_features(spec.out, element_at(out, spec.out.type, first * spec.out.position_stride),
                        spec.value_dim, queries, spec.out_scale);
}

void run_task(const AttentionWorker& worker, const AttentionArgs& args, int task) {
  const AttentionPlan& plan = worker.plan();
  const AttentionSpec& spec = plan.spec.forward;
  const auto number = static_cast<std::size_t>(task);
  const AttentionPlan::Offsets& item = plan.items[number / plan.chunks.size()];
  const AttentionPlan::Chunk& chunk = plan.chunks[number % plan.chunks.size()];
  const std::byte *k = element_at(args.k, spec.k.type, item.k),
                  *v = element_at(args.v, spec.v.type, item.v);
  worker.pack(Side::left, lanes_are_positions(spec.k, k, chunk.keys, spec.head_dim),
              plan.scratch.k_by_key);
  worker.pack(Side::left, lanes_are_features(spec.v, v, chunk.keys, spec.value_dim),
              plan.scratch.v_by_feature);
  for (std::int64_t block = chunk.first; block < chunk.end; ++block) {
    const AttentionPlan::Offsets& member =
        plan.members[static_cast<std::size_t>(block / plan.member_blocks)];
    run_block(worker, element_at(args.q, spec.q.type, item.q + member.q),
              element_at(args.out, spec.out.type, item.out + member.out),
              block % plan.member_blocks * plan.gemm->nr);
  }
}

}  // namespace

void run(ThreadPool& pool, const AttentionPlan& plan, std::span<std::byte> workspace,
         const AttentionArgs& args) {
  ANEMONE_CHECK(workspace.size() >= plan.workspace_bytes(pool.threads()) &&
                    reinterpret_cast<std::uintptr_t>(workspace.data()) % 64 == 0,
                "attention's workspace is too small or not aligned");
  std::byte* scratch = workspace.data();
  std::byte* sums = scratch + plan.scratch.bytes * static_cast<std::size_t>(pool.threads());
  const auto worker_of = [&](int worker) {
    return AttentionWorker(plan, scratch + plan.scratch.bytes * static_cast<std::size_t>(worker));
  };
  pool.run(plan.tasks(), [&](int task, int worker) {
    if (plan.gemm->begin != nullptr) plan.gemm->begin();
    if (plan.backward) {
      run_backward_task(worker_of(worker), args, task, sums);
    } else {
      run_task(worker_of(worker), args, task);
    }
    if (plan.gemm->end != nullptr) plan.gemm->end();
  });
  if (!plan.backward || plan.chunks.size() == 1) return;
  pool.run(static_cast<int>(plan.items.size()),
           [&](int item, int worker) { finish_backward(worker_of(worker), args, item, sums); });
}

}  // namespace anemone::compute

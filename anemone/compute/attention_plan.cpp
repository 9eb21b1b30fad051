// Planning attention: what shares keys, the grid of tasks, scratch memory.
#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/compute/attention.h"
#include "anemone/compute/attention_panels.h"
#include "anemone/compute/slots.h"

namespace anemone::compute {
namespace {

// A task brings the keys and values it sees into panels for itself: with this many queries that is
// a few percent of its work.
constexpr std::int64_t kChunkQueries = 256;
// Chunks are cut until there are this many tasks (not by the number of threads: sums depend on
// them). Backward, chunks of one item need memory for dK and dV each, and an ordered sum.
constexpr std::int64_t kEnoughForwardTasks = 24, kEnoughBackwardTasks = 8;
// Backward, dK and dV are read and written once for so many queries.
constexpr int kBackwardQueries = 64;

using Offsets = AttentionPlan::Offsets;

void check_spec(const AttentionSpec& spec) {
  ANEMONE_CHECK(spec.queries >= 1 && spec.keys >= 1 && spec.head_dim >= 1 && spec.value_dim >= 1 &&
                    spec.batch.elements() >= 1,
                "attention has sizes");
  ANEMONE_CHECK(!spec.causal || spec.queries == spec.keys,
                "causal attention has a query for every key");
  ANEMONE_CHECK(spec.scale > 0, "the scale of attention is positive");
}

void check_type(const AttentionTensor& tensor) {
  ANEMONE_CHECK(
      tensor.type == DType::fp16 || tensor.type == DType::bf16 || tensor.type == DType::fp32,
      "attention computes fp16, bf16 or fp32");
}

// Every combination of the positions along the chosen axes.
std::vector<Offsets> offsets_of(const AttentionPlan& plan, bool shared) {
  const AttentionSpec& spec = plan.spec.forward;
  std::vector<Offsets> all = {{}};
  for (int axis = 0; axis < spec.batch.rank(); ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    bool repeats = spec.k.batch[i] == 0 && spec.v.batch[i] == 0;
    if (plan.backward)
      repeats = repeats && plan.spec.dk.batch[i] == 0 && plan.spec.dv.batch[i] == 0;
    if (spec.batch[axis] == 1 || repeats != shared) continue;
    std::vector<Offsets> next;
    for (const Offsets& at : all) {
      for (std::int64_t n = 0; n < spec.batch[axis]; ++n) {
        next.push_back({at.q + n * spec.q.batch[i], at.k + n * spec.k.batch[i],
                        at.v + n * spec.v.batch[i], at.out + n * spec.out.batch[i],
                        at.dq + n * plan.spec.dq.batch[i], at.dk + n * plan.spec.dk.batch[i],
                        at.dv + n * plan.spec.dv.batch[i]});
      }
    }
    all = std::move(next);
  }
  return all;
}

// Cuts the blocks of an item into chunks of about the same work.
void plan_chunks(AttentionPlan& plan) {
  const AttentionSpec& spec = plan.spec.forward;
  const auto members = static_cast<std::int64_t>(plan.members.size());
  const std::int64_t wanted = divide_up(plan.backward ? kEnoughBackwardTasks : kEnoughForwardTasks,
                                        static_cast<std::int64_t>(plan.items.size()));
  const std::int64_t most = std::max<std::int64_t>(1, members * spec.queries / kChunkQueries);
  const std::int64_t count = std::min(wanted, most);

  const std::int64_t blocks = members * plan.member_blocks;
  double all = 0;
  for (std::int64_t i = 0; i < blocks; ++i) all += static_cast<double>(plan.visible_keys(i));
  AttentionPlan::Chunk chunk;
  double done = 0;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const std::int64_t keys = plan.visible_keys(i);
    done += static_cast<double>(keys);
    chunk.keys = std::max(chunk.keys, keys);
    chunk.end = i + 1;
    const auto cut = static_cast<double>(plan.chunks.size() + 1);
    if (chunk.end < blocks && done < all * cut / static_cast<double>(count)) continue;
    plan.chunks.push_back(chunk);
    if (chunk.keys == spec.keys) plan.widest_chunk = plan.chunks.size() - 1;
    chunk = {chunk.end, chunk.end, 0};
  }
}

// Lays out parts one behind the other.
class Layout {
 public:
  explicit Layout(const AttentionPlan& plan) : plan_(plan) {}

  AttentionPlan::Part panels(std::int64_t count, int width, std::int64_t depth) {
    return take(count, panel_bytes(*plan_.gemm, width, depth));
  }
  AttentionPlan::Part floats(std::int64_t count, std::int64_t each) {
    return take(count, aligned_bytes(static_cast<std::size_t>(each) * sizeof(float)));
  }
  std::size_t bytes() const { return bytes_; }

 private:
  AttentionPlan::Part take(std::int64_t count, std::size_t panel) {
    const AttentionPlan::Part part{bytes_, panel};
    bytes_ += static_cast<std::size_t>(count) * panel;
    return part;
  }

  const AttentionPlan& plan_;
  std::size_t bytes_ = 0;
};

void plan_scratch(AttentionPlan& plan) {
  const AttentionSpec& spec = plan.spec.forward;
  const int mr = plan.gemm->mr, nr = plan.gemm->nr;
  const std::int64_t key_rows = plan.key_panels * mr, block = plan.block_panels;
  const std::int64_t result_dim = plan.backward ? spec.head_dim : spec.value_dim;
  Layout layout(plan);
  AttentionPlan::Scratch& scratch = plan.scratch;
  scratch.k_by_key = layout.panels(plan.key_panels, mr, spec.head_dim);
  scratch.q = layout.panels(1, nr, spec.head_dim);
  scratch.scores = layout.floats(block, key_rows * nr);
  if (!plan.scores_are_panels) scratch.packed = layout.panels(1, nr, spec.keys);
  scratch.tile = layout.floats(divide_up(result_dim, mr), std::int64_t{mr} * nr);
  scratch.turned = layout.floats(nr, round_up(result_dim, kernels::kSlotMultiple));
  scratch.max = layout.floats(1, nr);
  scratch.sum = layout.floats(1, nr);
  if (!plan.backward) {
    scratch.v_by_feature = layout.panels(divide_up(spec.value_dim, mr), mr, spec.keys);
  } else {
    scratch.v_by_key = layout.panels(plan.key_panels, mr, spec.value_dim);
    scratch.k_by_feature = layout.panels(divide_up(spec.head_dim, mr), mr, spec.keys);
    scratch.dout = layout.panels(1, nr, spec.value_dim);
    scratch.q_by_feature = layout.panels(divide_up(spec.head_dim, nr), nr, block * nr);
    scratch.dout_by_feature = layout.panels(divide_up(spec.value_dim, nr), nr, block * nr);
    scratch.gradients = layout.floats(block, key_rows * nr);
    scratch.left_scores = layout.panels(1, mr, block * nr);
    scratch.mean = layout.floats(1, nr);
    if (plan.chunks.size() == 1)
      scratch.sums = layout.floats(1, static_cast<std::int64_t>(plan.sums_bytes / sizeof(float)));
  }
  scratch.bytes = layout.bytes() + kWorkerGap;
}

AttentionPlan make_plan(const AttentionBackwardSpec& spec, bool backward,
                        const CpuFeatures& features) {
  const AttentionSpec& forward = spec.forward;
  check_spec(forward);
  for (const AttentionTensor* tensor : {&forward.q, &forward.k, &forward.v, &forward.out})
    check_type(*tensor);
  AttentionPlan plan;
  plan.spec = spec;
  plan.backward = backward;
  const bool bf16 = forward.precision == ProductPrecision::bf16;
  // Scores are multiplied as numbers of the widest operand's type would be.
  DType widest = forward.q.type;
  for (const AttentionTensor* tensor : {&forward.k, &forward.v, &forward.out})
    if (dtype_size(tensor->type) > dtype_size(widest)) widest = tensor->type;
  plan.gemm = &kernels::pick_gemm(features, {widest, widest, bf16});
  plan.kernel = &kernels::pick_attention(features);
  plan.convert = &kernels::pick_convert(features);
  plan.reduce = &kernels::pick_reduce(features);
  const kernels::GemmKernel& gemm = *plan.gemm;
  ANEMONE_CHECK(gemm.nr % gemm.k_step == 0, "panels of queries can follow each other as depths");
  plan.scores_are_panels =
      gemm.panel == DType::fp32 && gemm.planes == 1 && gemm.k_step == 1 && !bf16;
  constexpr double kLog2E = 1.44269504088896340736;
  plan.log2_scale = static_cast<float>(static_cast<double>(forward.scale) * kLog2E);
  plan.items = offsets_of(plan, /*shared=*/false);
  plan.members = offsets_of(plan, /*shared=*/true);
  plan.block_panels = backward ? std::max(1, kBackwardQueries / gemm.nr) : 1;
  plan.member_blocks = divide_up(forward.queries, std::int64_t{plan.block_panels} * gemm.nr);
  plan.key_panels = divide_up(forward.keys, gemm.mr);
  plan_chunks(plan);
  if (backward) {
    const std::int64_t row = plan.key_panels * gemm.mr * gemm.nr;
    plan.dv_sums = static_cast<std::size_t>(divide_up(forward.head_dim, gemm.nr) * row);
    plan.sums_bytes =
        sizeof(float) *
        (plan.dv_sums + static_cast<std::size_t>(divide_up(forward.value_dim, gemm.nr) * row));
  }
  plan_scratch(plan);
  return plan;
}

}  // namespace

std::int64_t AttentionPlan::visible_keys(std::int64_t block) const {
  const AttentionSpec& forward = spec.forward;
  const std::int64_t queries = std::int64_t{block_panels} * gemm->nr;
  const std::int64_t end = std::min(forward.queries, (block % member_blocks + 1) * queries);
  return forward.causal ? end : forward.keys;
}

std::size_t AttentionPlan::workspace_bytes(int threads) const {
  const std::size_t shared = chunks.size() > 1 ? sums_bytes * static_cast<std::size_t>(tasks()) : 0;
  return shared + scratch.bytes * static_cast<std::size_t>(threads);
}

double AttentionPlan::flops() const {
  const AttentionSpec& forward = spec.forward;
  const auto q = static_cast<double>(forward.head_dim), v = static_cast<double>(forward.value_dim);
  const double features = backward ? 3 * q + 2 * v : q + v;
  return 2 * features * static_cast<double>(forward.batch.elements()) *
         static_cast<double>(forward.queries) * static_cast<double>(forward.keys);
}

double AttentionPlan::skipped_flops() const { return spec.forward.causal ? flops() / 2 : 0; }

AttentionPlan plan_attention(const AttentionSpec& spec, const CpuFeatures& features) {
  AttentionBackwardSpec whole;
  whole.forward = spec;
  return make_plan(whole, /*backward=*/false, features);
}

AttentionPlan plan_attention_backward(const AttentionBackwardSpec& spec,
                                      const CpuFeatures& features) {
  for (const AttentionTensor* tensor : {&spec.dq, &spec.dk, &spec.dv}) check_type(*tensor);
  return make_plan(spec, /*backward=*/true, features);
}

}  // namespace anemone::compute

// Attention as one operation:  out = softmax(scale · Q Kᵀ) V  for many heads, and its derivatives.
//
//   AttentionSpec --plan_attention--> AttentionPlan --run(pool, plan, workspace, pointers)--> out
//
// The queries are done in blocks: the scores of one block with all keys stay in a worker's caches,
// and no matrix of queries x keys is ever in memory (workspace grows linearly with the length). The
// products are the tiles of kernels/gemm, what stands between them is kernels/attention. Scores and
// probabilities are fp32 and not rounded, except as operands where products are asked in bf16.
// Tasks and the order of all sums depend on the plan only: results are bitwise the same for any
// number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "anemone/base/cpu_features.h"
#include "anemone/base/dtype.h"
#include "anemone/base/shape.h"
#include "anemone/compute/gemm.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/kernels/attention/attention.h"
#include "anemone/kernels/convert/convert.h"
#include "anemone/kernels/gemm/gemm.h"
#include "anemone/kernels/reduce/reduce.h"

namespace anemone::compute {

// Strides in elements; for each dimension of the batch, 0 where the tensor is repeated.
struct AttentionTensor {
  DType type = DType::fp32;            // fp16, bf16 or fp32
  std::ptrdiff_t position_stride = 0;  // from a query or key to the next
  std::ptrdiff_t feature_stride = 1;   // from a channel of the head to the next
  Strides batch{};
};

struct AttentionSpec {
  Shape batch;  // of the result: every other dimension, heads among them
  std::int64_t queries = 0, keys = 0;
  std::int64_t head_dim = 0, value_dim = 0;  // features of q and k; of v and out
  float scale = 1;                           // > 0
  bool causal = false;                       // a query sees the keys up to itself; queries == keys
  ProductPrecision precision = ProductPrecision::full;
  AttentionTensor q, k, v, out;
  float out_scale = 1;  // out is multiplied with it
};

// P = softmax(scale · Q Kᵀ),  dS = P · (dOut Vᵀ - rowsum(P · dOut Vᵀ)):
// dQ = dq_scale · dS K,  dK = dk_scale · dSᵀ Q,  dV = dv_scale · Pᵀ dOut. `forward.out` is dOut.
// Where dk and dv are repeated along a dimension of the batch (query heads that share keys), they
// are sums over it.
struct AttentionBackwardSpec {
  AttentionSpec forward;
  float dq_scale = 1, dk_scale = 1, dv_scale = 1;
  AttentionTensor dq, dk, dv;
};

struct AttentionPlan {
  AttentionBackwardSpec spec;
  bool backward = false;
  const kernels::GemmKernel* gemm = nullptr;
  const kernels::AttentionKernel* kernel = nullptr;
  const kernels::ConvertKernel* convert = nullptr;
  const kernels::ReduceKernel* reduce = nullptr;

  // An item is one set of keys and values; its members are the queries that share it. Offsets in
  // elements, of a member from its item.
  struct Offsets {
    std::ptrdiff_t q = 0, k = 0, v = 0, out = 0, dq = 0, dk = 0, dv = 0;
  };
  std::vector<Offsets> items, members;

  // A task is one chunk of an item: blocks of queries, counted over all members.
  struct Chunk {
    std::int64_t first = 0, end = 0;  // blocks
    std::int64_t keys = 0;            // that any of them sees
  };
  std::vector<Chunk> chunks;
  std::size_t widest_chunk = 0;    // one that sees all keys
  int block_panels = 1;            // of queries, gemm->nr each
  std::int64_t member_blocks = 0;  // of one member
  std::int64_t key_panels = 0;     // of gemm->mr keys

  // The scratch memory of a worker: parts in bytes from its start.
  struct Part {
    std::size_t at = 0;
    std::size_t panel = 0;  // bytes of one panel, where it is made of panels
  };
  struct Scratch {
    std::size_t bytes = 0;
    // Panels that the left operands of products are read from: lanes are keys or features.
    Part k_by_key, v_by_feature;         // forward
    Part v_by_key, k_by_feature;         // backward
    Part q, dout;                        // right: lanes are queries
    Part q_by_feature, dout_by_feature;  // right: lanes are features
    Part scores, gradients;              // fp32 [key][query], a panel of queries each
    Part packed;                         // one of those as a right operand
    Part left_scores;                    // part of one as a left operand, lanes are keys
    Part tile, turned;                   // results: features x queries, and transposed
    Part max, sum, mean;                 // by query
    Part sums;                           // dK and dV of the task, if it is the only one
  } scratch;
  float log2_scale = 1;            // of scores, for powers of 2 in place of e
  bool scores_are_panels = false;  // fp32 scores are already what the kernel multiplies with
  std::size_t sums_bytes = 0;      // dK and dV of one chunk in fp32
  std::size_t dv_sums = 0;         // floats before dV

  std::int64_t visible_keys(std::int64_t block) const;  // that some query of the block sees
  std::size_t workspace_bytes(int threads) const;
  int tasks() const { return static_cast<int>(items.size() * chunks.size()); }
  double flops() const;          // of all products, as if every query saw every key
  double skipped_flops() const;  // of those: the half that `causal` leaves out
};

// Types and strides as in the specs (CHECK); sizes >= 1.
AttentionPlan plan_attention(const AttentionSpec& spec,
                             const CpuFeatures& features = cpu_features());
AttentionPlan plan_attention_backward(const AttentionBackwardSpec& spec,
                                      const CpuFeatures& features = cpu_features());

struct AttentionArgs {
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  void* out = nullptr;  // forward only
  // Backward only.
  const void* dout = nullptr;
  void* dq = nullptr;
  void* dk = nullptr;
  void* dv = nullptr;
};

// `workspace`: at least plan.workspace_bytes(pool.threads()), aligned to 64 bytes; its contents do
// not matter. Results must not overlap operands. Allocates nothing.
void run(ThreadPool& pool, const AttentionPlan& plan, std::span<std::byte> workspace,
         const AttentionArgs& args);

}  // namespace anemone::compute

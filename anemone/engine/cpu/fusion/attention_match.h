// Attention as operations: what its two fusions, forward and backward, look for. A pattern is
// followed through what changes nothing but a factor or a type: multiplications by a number, casts
// between floats, transpositions of the last two dimensions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "anemone/base/shape.h"
#include "anemone/engine/cpu/group_graph.h"

namespace anemone::cpu {

// The last two dimensions are [features, positions], or the other way round.
struct HeadTensor {
  mil::Value value;
  bool features_first = true;
};

// What a group of the fusions computes; compute/attention.h has the formulas.
struct AttentionParts {
  Shape batch;  // of the scores
  std::int64_t queries = 0, keys = 0, head_dim = 0, value_dim = 0;
  HeadTensor q, k, v, out;  // out: backward the gradient, an input
  double scale = 1, out_scale = 1;
  bool causal = false;
  bool backward = false;
  HeadTensor dq, dk, dv;
  double dq_scale = 1, dk_scale = 1, dv_scale = 1;
};

// tensor · factor
struct ScaledHeads {
  HeadTensor tensor;
  double factor = 1;
};

// softmax(scale · Q Kᵀ + mask) over the keys.
struct Probabilities {
  ScaledHeads q, k;
  double scale = 1;  // of their product, factors included
  bool causal = false;
  std::vector<int> groups;  // that compute it: softmax first, product last
  std::string refusal;      // why it is none; empty: it is one
};
// `softmax`: a group that is a single softmax.
Probabilities match_probabilities(const GroupGraph& graph, int softmax);
// Whether a group is a softmax along the last axis and nothing else.
bool is_row_softmax(const GroupGraph& graph, int index);

// A product of matrices [query, key] with heads.
struct HeadProduct {
  int group = -1;
  ScaledHeads operand;
  HeadTensor result;
};
// Σ over keys (or over queries) of weights · operand, if group `index` is that.
std::optional<HeadProduct> match_sum_over_keys(const GroupGraph& graph, int index,
                                               mil::Value weights);
std::optional<HeadProduct> match_sum_over_queries(const GroupGraph& graph, int index,
                                                  mil::Value weights);
// left · rightᵀ, [query, key], if that is what group `index` is.
struct ScoreProduct {
  ScaledHeads left, right;
};
std::optional<ScoreProduct> match_score_product(const GroupGraph& graph, int index);

// Multiplications by a number and casts of a result that nobody else reads: their groups, the last
// value and the factor.
struct Followed {
  mil::Value value;
  double factor = 1;
  std::vector<int> groups;
};
Followed follow_readers(const GroupGraph& graph, mil::Value value);
// The same backwards, up to what `value` is computed from.
Followed follow_producers(const GroupGraph& graph, mil::Value value);

// Both name the same numbers: one value, or the same views of one.
bool same_heads(const GroupGraph& graph, const HeadTensor& a, const HeadTensor& b);
bool is_attention_type(const GroupGraph& graph, mil::Value value);

// Sizes of `parts`, from the type of the scores and its operands; returns why one step does not
// compute them.
std::string set_sizes(const GroupGraph& graph, mil::Value probabilities, AttentionParts& parts);

// Makes one group of `members`: `index`, one of them, which computes `parts`.
void join_attention(GroupGraph& graph, int index, const std::vector<int>& members,
                    const AttentionParts& parts, const Fusion& fusion);

}  // namespace anemone::cpu

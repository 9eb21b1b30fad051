// Causal attention, forward and backward, on channel-first heads [1, heads, head_dim, S].
//
// Where several query heads share a key head (grouped-query attention) queries are [kv_heads,
// group, head_dim, S] and keys and values [kv_heads, 1, head_dim, S]: products broadcast over the
// group, and the gradients of keys and values are summed over it.
//
// With positions last no transposition is needed anywhere: scores are Qᵀ K, the output is V probsᵀ.
// The factor 1/sqrt(head_dim) goes onto q and k, not onto the S x S matrices: less work, and in
// fp16 the scores overflow later.
#include <cmath>

#include "anemone/nn/blocks.h"

namespace anemone::nn {
namespace {

// Lowest finite fp16 number. Added to any score it leaves a probability of exactly 0; an infinite
// mask would make NaN of a row without a visible key.
constexpr double kHidden = -65504;

// x, of queries or of keys and values, in heads.
mil::Value split_heads(mil::Builder& b, const ModelConfig& config, mil::Value x) {
  const Shape given = b.shape(x);
  const std::int64_t heads = given[1] / config.head_dim;
  const Shape shape = config.group() == 1 ? Shape{1, heads, config.head_dim, given[3]}
                                          : Shape{config.kv_heads, heads / config.kv_heads,
                                                  config.head_dim, given[3]};
  return b.reshape({{"x", x}, {"shape", shape}}, b.function().name_of(x) + "_heads");
}

mil::Value join_heads(mil::Builder& b, mil::Value x) {
  const Shape heads = b.shape(x);
  const Shape shape = {1, heads[0] * heads[1] * heads[2], 1, heads[3]};
  return b.reshape({{"x", x}, {"shape", shape}}, b.function().name_of(x) + "_joined");
}

// The gradient of keys or values that all queries of a group have used.
mil::Value sum_over_group(mil::Builder& b, const ModelConfig& config, mil::Value x) {
  if (config.group() == 1) return x;
  const std::vector<std::int64_t> group = {1};
  return b.reduce_sum({{"x", x}, {"axes", group}, {"keep_dims", true}},
                      b.function().name_of(x) + "_sum");
}

// x / sqrt(head_dim), in heads.
mil::Value scaled_heads(mil::Builder& b, const ModelConfig& config, mil::Value x) {
  const double scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  return b.mul({{"x", split_heads(b, config, x)}, {"y", scale}},
               b.function().name_of(x) + "_scaled");
}

struct Transposed {
  bool x = false, y = false;
};
mil::Value product(mil::Builder& b, mil::Value x, mil::Value y, Transposed transposed,
                   const char* name) {
  return b.matmul(
      {{"x", x}, {"y", y}, {"transpose_x", transposed.x}, {"transpose_y", transposed.y}}, name);
}

// 0 where key <= query, kHidden after it.      [1, 1, query, key]
mil::Value causal_mask(mil::Builder& b, std::int64_t seq, DType dtype) {
  return b.constant(mil::Constant::upper_triangle(dtype, {1, 1, seq, seq}, kHidden), "mask");
}

mil::Value probabilities(mil::Builder& b, const ModelConfig& config, mil::Value q, mil::Value k) {
  // One after the other: compilers differ in the order in which they evaluate arguments.
  const auto queries = scaled_heads(b, config, q);
  const auto keys = split_heads(b, config, k);
  const auto scores = product(b, queries, keys, {.x = true}, "scores");
  const auto mask = causal_mask(b, config.seq, b.dtype(q));
  const auto masked = b.add({{"x", scores}, {"y", mask}}, "masked_scores");
  return b.softmax({{"x", masked}, {"axis", -1}}, "probabilities");
}

}  // namespace

Shape scores_shape(const ModelConfig& config) {
  const std::int64_t group = config.group(), seq = config.seq;
  return group == 1 ? Shape{1, config.heads, seq, seq} : Shape{config.kv_heads, group, seq, seq};
}

Attention attention(mil::Builder& b, const ModelConfig& config, mil::Value q, mil::Value k,
                    mil::Value v) {
  const auto probs = probabilities(b, config, q, k);
  const auto out = product(b, split_heads(b, config, v), probs, {.y = true}, "mixed");
  return {join_heads(b, out), probs};
}

AttentionGradsFirst attention_backward_first(mil::Builder& b, const ModelConfig& config,
                                             mil::Value dout, mil::Value q, mil::Value k,
                                             mil::Value v) {
  const auto probs = probabilities(b, config, q, k);
  const auto dmixed = split_heads(b, config, dout);
  const auto dv = sum_over_group(b, config, product(b, dmixed, probs, {}, "dv_heads"));
  const auto dp = product(b, dmixed, split_heads(b, config, v), {.x = true}, "dprobabilities");
  return {join_heads(b, dv), probs, dp};
}

AttentionGradsSecond attention_backward_second(mil::Builder& b, const ModelConfig& config,
                                               mil::Value probs, mil::Value dp, mil::Value q,
                                               mil::Value k) {
  const std::vector<std::int64_t> keys = {3};
  const auto weighted = b.mul({{"x", probs}, {"y", dp}}, "weighted_dp");
  const auto mean = b.reduce_sum({{"x", weighted}, {"axes", keys}, {"keep_dims", true}}, "mean_dp");
  const auto centered = b.sub({{"x", dp}, {"y", mean}}, "centered_dp");
  const auto dscores = b.mul({{"x", probs}, {"y", centered}}, "dscores");
  const auto dq = product(b, scaled_heads(b, config, k), dscores, {.y = true}, "dq_heads");
  const auto queries = scaled_heads(b, config, q);
  const auto dk = sum_over_group(b, config, product(b, queries, dscores, {}, "dk_heads"));
  return {join_heads(b, dq), join_heads(b, dk)};
}

}  // namespace anemone::nn

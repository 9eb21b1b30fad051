// The blocks of a transformer layer as program builders, each forward beside its backward. A block
// contains no number: shapes come from the values it gets, constants from the ModelConfig.
//
// Activations are channel-first, [1, C, 1, S]: what the Neural Engine reads and writes, and what
// makes a linear layer a 1x1 convolution. Weights of linear layers are [OC, IC, 1, 1].
#pragma once

#include "anemone/mil/builder.h"
#include "anemone/nn/model_config.h"

namespace anemone::nn {

// y = x * r * w with r = (mean over channels of x^2, + eps)^-1/2.     x, y: [1, C, 1, S]; w: [1, C,
// 1, 1]
mil::Value rms_norm(mil::Builder& b, mil::Value x, mil::Value w, double eps);

// dx = r * (w*dy - x * r^2/C * sum over channels of (w*dy*x));  dw = sum over positions of dy*x*r.
struct RmsNormGrads {
  mil::Value dx;  // [1, C, 1, S]
  mil::Value dw;  // [1, C, 1, 1]
};
// Computed in fp32 whatever the element type, and returned in fp32: the caller adds its residual
// before it rounds.
RmsNormGrads rms_norm_backward(mil::Builder& b, mil::Value dy, mil::Value x, mil::Value w,
                               double eps);

// y = W x.     x: [1, IC, 1, S]; W: [OC, IC, 1, 1]; y: [1, OC, 1, S]. Backward is linear(dy, Wᵀ).
mil::Value linear(mil::Builder& b, mil::Value x, mil::Value weight);

// The same with a weight that is computed or given at run time, W: [1, 1, OC, IC], as a matrix
// product; transposed: y = Wᵀ x with x: [1, OC, 1, S].
mil::Value linear_product(mil::Builder& b, mil::Value x, mil::Value weight, bool transposed);

// x converted to `dtype`; x itself where it has that element type already.
mil::Value as_type(mil::Builder& b, mil::Value x, DType dtype);

// Rotary position embedding: each pair (a, b) of channels of a head becomes (a cos - b sin, a sin +
// b cos); config.rope says which channels are pairs.      x: [1, heads*head_dim, 1, S], with any
// number of heads
struct RopeTable {
  mil::Value cos, sin;  // [1, head_dim/2, 1, S]
};
// Of positions 0 to seq - 1, as constants.
RopeTable rope_table(mil::Builder& b, const ModelConfig& config, DType dtype);
mil::Value rope(mil::Builder& b, const ModelConfig& config, mil::Value x, const RopeTable& table);
// dx: the same turn, backward.
mil::Value rope_backward(mil::Builder& b, const ModelConfig& config, mil::Value dy,
                         const RopeTable& table);

// Causal self-attention, without the projections.      q: [1, heads*head_dim, 1, S]; k, v: [1,
// kv_heads*head_dim, 1, S]; query head h sees key head h / (heads / kv_heads)
// probs = softmax(Qᵀ K / sqrt(head_dim) + mask), out = (probs V)ᵀ; mask is 0 on and below the
// diagonal, -65504 above.
struct Attention {
  mil::Value out;    // [1, heads*head_dim, 1, S]
  mil::Value probs;  // scores_shape
};
// [1, heads, S, S]; with groups of queries [kv_heads, heads/kv_heads, S, S], whose elements are in
// the same order.
Shape scores_shape(const ModelConfig& config);
Attention attention(mil::Builder& b, const ModelConfig& config, mil::Value q, mil::Value k,
                    mil::Value v);

// The backward pass in two halves, as the kernels of a layer need it.
// First:   probs recomputed, dv = probsᵀ dout, dp = dout Vᵀ.
struct AttentionGradsFirst {
  mil::Value dv;         // [1, kv_heads*head_dim, 1, S]
  mil::Value probs, dp;  // scores_shape
};
AttentionGradsFirst attention_backward_first(mil::Builder& b, const ModelConfig& config,
                                             mil::Value dout, mil::Value q, mil::Value k,
                                             mil::Value v);
// Second:  ds = probs * (dp - sum over keys of probs*dp) / sqrt(head_dim), dq = ds K, dk = dsᵀ Q.
struct AttentionGradsSecond {
  mil::Value dq, dk;  // [1, heads*head_dim, 1, S], [1, kv_heads*head_dim, 1, S]
};
AttentionGradsSecond attention_backward_second(mil::Builder& b, const ModelConfig& config,
                                               mil::Value probs, mil::Value dp, mil::Value q,
                                               mil::Value k);

// gate = silu(h1) * h3,  silu(h) = h * sigmoid(h).      all [1, C, 1, S]
mil::Value swiglu(mil::Builder& b, mil::Value h1, mil::Value h3);
// dh1 = dgate * h3 * s*(1 + h1*(1 - s)),  dh3 = dgate * silu(h1),  s = sigmoid(h1).
struct SwigluGrads {
  mil::Value dh1, dh3;
};
SwigluGrads swiglu_backward(mil::Builder& b, mil::Value dgate, mil::Value h1, mil::Value h3);

// Mean squared error over all elements, computed in fp32, and its gradient times a scale given at
// run time: loss = mean((y - target)^2);  dy = scale * 2/N * (y - target), in y's element type.
// scale: fp32 [1, 1, 1, 1]
struct MseLoss {
  mil::Value loss;  // fp32 [1, 1, 1, 1]
  mil::Value dy;
};
MseLoss mse_loss(mil::Builder& b, mil::Value y, mil::Value target, mil::Value scale);

// log(sum over channels of e^x) of a part of the vocabulary's logits, in fp32.     x: [1, C, 1, S];
// result: fp32 [1, 1, 1, S]
mil::Value log_sum_exp(mil::Builder& b, mil::Value logits);

// Softmax over the whole vocabulary times a weight for each position, in fp32, returned in the
// logits' element type: weight * e^(logits - log_sum).     logits: [1, C, 1, S]; log_sum, weight:
// fp32 [1, 1, 1, S]
mil::Value weighted_softmax(mil::Builder& b, mil::Value logits, mil::Value log_sum,
                            mil::Value weight);

}  // namespace anemone::nn

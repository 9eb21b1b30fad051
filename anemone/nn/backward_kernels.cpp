// The backward kernels of a layer and the glue between them.
#include "anemone/nn/blocks.h"
#include "anemone/nn/kernels.h"

namespace anemone::nn {
namespace {

mil::Value add(mil::Builder& b, mil::Value x, mil::Value y) {
  return b.add({{"x", x}, {"y", y}}, "sum");
}

// Probabilities as the kernels hand them on: a channel for every row of every head.
mil::Value rows_to_channels(KernelBuilder& k, mil::Value x) {
  const Shape shape = {1, k.config.heads * k.config.seq, 1, k.config.seq};
  return k.b.reshape({{"x", x}, {"shape", shape}}, "rows");
}
mil::Value channels_to_rows(KernelBuilder& k, mil::Value x) {
  return k.b.reshape({{"x", x}, {"shape", scores_shape(k.config)}}, "heads");
}

// The second half of attention's backward pass, and the gradients of what the forward pass turned
// turned back.
AttentionGradsSecond second_half(KernelBuilder& k, mil::Value probs, mil::Value dp, mil::Value q,
                                 mil::Value key) {
  AttentionGradsSecond grads = attention_backward_second(k.b, k.config, probs, dp, q, key);
  if (k.config.rope == Rope::none) return grads;
  const RopeTable table = rope_table(k.b, k.config, k.config.dtype);
  grads.dq = rope_backward(k.b, k.config, grads.dq, table);
  grads.dk = rope_backward(k.b, k.config, grads.dk, table);
  return grads;
}

mil::Value through_projections(KernelBuilder& k, mil::Value dq, mil::Value dk, mil::Value dv) {
  const auto from_q = k.linear_transposed(dq, "wq");
  const auto from_k = k.linear_transposed(dk, "wk");
  const auto from_v = k.linear_transposed(dv, "wv");
  return add(k.b, add(k.b, from_q, from_k), from_v);
}

// dx = residual gradient + RMSNorm backward, rounded once; dw stays fp32.
struct NormNames {
  const char *residual, *dnorm, *x, *weight;
  const char *dx, *dw;
};
void build_norm_bwd(KernelBuilder& k, const NormNames& names) {
  mil::Builder& b = k.b;
  const auto residual = k.input(names.residual, k.config.dim);
  const auto dnorm = k.input(names.dnorm, k.config.dim);
  const auto x = k.input(names.x, k.config.dim);
  const RmsNormGrads grads =
      rms_norm_backward(b, dnorm, x, k.norm_weight(names.weight), k.norm_eps);
  const auto dx = add(b, as_type(b, residual, DType::fp32), grads.dx);
  k.output(as_type(b, dx, k.config.dtype), names.dx);
  k.output(grads.dw, names.dw);
}

}  // namespace

void build_ffn_bwd(KernelBuilder& k) {
  mil::Builder& b = k.b;
  const auto dy = k.input("dy", k.config.dim);
  const auto h1 = k.input("h1", k.config.hidden);
  const auto h3 = k.input("h3", k.config.hidden);
  const auto dgate = k.linear_transposed(dy, "w2");
  const SwigluGrads grads = swiglu_backward(b, dgate, h1, h3);
  const auto from_h1 = k.linear_transposed(grads.dh1, "w1");
  const auto from_h3 = k.linear_transposed(grads.dh3, "w3");
  k.output(add(b, from_h1, from_h3), "dx2norm");
  k.output(grads.dh1, "dh1");
  k.output(grads.dh3, "dh3");
}

void build_norm2_bwd(KernelBuilder& k) {
  build_norm_bwd(k, {.residual = "dy",
                     .dnorm = "dx2norm",
                     .x = "x2",
                     .weight = "norm2",
                     .dx = "dx2",
                     .dw = "dnorm2"});
}

void build_sdpa_bwd1(KernelBuilder& k) {
  const auto q = k.input("q", k.config.q_dim());
  const auto key = k.input("k", k.config.kv_dim());
  const auto v = k.input("v", k.config.kv_dim());
  const auto dx2 = k.input("dx2", k.config.dim);
  const auto dattn = k.linear_transposed(dx2, "wo");
  const AttentionGradsFirst grads = attention_backward_first(k.b, k.config, dattn, q, key, v);
  k.output(grads.dv, "dv");
  k.output(rows_to_channels(k, grads.probs), "probs");
  k.output(rows_to_channels(k, grads.dp), "dp");
}

void build_sdpa_bwd2(KernelBuilder& k) {
  const std::int64_t rows = k.config.heads * k.config.seq;
  const auto probs = k.input("probs", rows);
  const auto dp = k.input("dp", rows);
  const auto q = k.input("q", k.config.q_dim());
  const auto key = k.input("k", k.config.kv_dim());
  const auto probs_rows = channels_to_rows(k, probs);
  const auto dp_rows = channels_to_rows(k, dp);
  const AttentionGradsSecond grads = second_half(k, probs_rows, dp_rows, q, key);
  k.output(grads.dq, "dq");
  k.output(grads.dk, "dk");
}

void build_qkv_bwd(KernelBuilder& k) {
  const auto dq = k.input("dq", k.config.q_dim());
  const auto dk = k.input("dk", k.config.kv_dim());
  const auto dv = k.input("dv", k.config.kv_dim());
  k.output(through_projections(k, dq, dk, dv), "dxnorm");
}

// The three above as one: the S x S matrices never leave it.
void build_attn_bwd(KernelBuilder& k) {
  const auto q = k.input("q", k.config.q_dim());
  const auto key = k.input("k", k.config.kv_dim());
  const auto v = k.input("v", k.config.kv_dim());
  const auto dx2 = k.input("dx2", k.config.dim);
  const auto dattn = k.linear_transposed(dx2, "wo");
  const AttentionGradsFirst first = attention_backward_first(k.b, k.config, dattn, q, key, v);
  const AttentionGradsSecond second = second_half(k, first.probs, first.dp, q, key);
  const auto dxnorm = through_projections(k, second.dq, second.dk, first.dv);
  k.output(second.dq, "dq");
  k.output(second.dk, "dk");
  k.output(first.dv, "dv");
  k.output(dxnorm, "dxnorm");
}

void build_norm1_bwd(KernelBuilder& k) {
  build_norm_bwd(k, {.residual = "dx2",
                     .dnorm = "dxnorm",
                     .x = "x",
                     .weight = "norm1",
                     .dx = "dx",
                     .dw = "dnorm1"});
}

}  // namespace anemone::nn

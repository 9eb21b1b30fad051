// The forward kernels of a layer and the glue between them. Outputs behind the first are taps: what
// backward needs.
#include "anemone/nn/blocks.h"
#include "anemone/nn/kernels.h"

namespace anemone::nn {

void build_fwd_attn(KernelBuilder& k) {
  mil::Builder& b = k.b;
  const auto x = k.input("x", k.config.dim);
  const auto xnorm = rms_norm(b, x, k.norm_weight("norm1"), k.norm_eps);
  auto q = k.linear(xnorm, "wq");
  auto key = k.linear(xnorm, "wk");
  const auto v = k.linear(xnorm, "wv");
  if (k.config.rope != Rope::none) {  // the taps q and k are the turned ones
    const RopeTable table = rope_table(b, k.config, k.config.dtype);
    q = rope(b, k.config, q, table);
    key = rope(b, k.config, key, table);
  }
  const auto attn = attention(b, k.config, q, key, v).out;
  k.output(k.linear(attn, "wo"), "o");
  k.output(q, "q");
  k.output(key, "k");
  k.output(v, "v");
  k.output(attn, "attn");
  k.output(xnorm, "xnorm");
}

void build_residual(KernelBuilder& k) {
  const auto x = k.input("x", k.config.dim);
  const auto o = k.input("o", k.config.dim);
  k.output(k.b.add({{"x", x}, {"y", o}}, "sum"), "x2");
}

void build_fwd_ffn(KernelBuilder& k) {
  mil::Builder& b = k.b;
  const auto x2 = k.input("x2", k.config.dim);
  const auto x2norm = rms_norm(b, x2, k.norm_weight("norm2"), k.norm_eps);
  const auto h1 = k.linear(x2norm, "w1");
  const auto h3 = k.linear(x2norm, "w3");
  const auto gate = swiglu(b, h1, h3);
  k.output(k.linear(gate, "w2"), "y");
  k.output(h1, "h1");
  k.output(h3, "h3");
  k.output(gate, "gate");
  k.output(x2norm, "x2norm");
}

void build_output_sum(KernelBuilder& k) {
  const auto x2 = k.input("x2", k.config.dim);
  const auto ffn = k.input("ffn", k.config.dim);
  k.output(k.b.add({{"x", x2}, {"y", ffn}}, "sum"), "y");
}

// The last residual sum stays in fp32 up to the loss: y is rounded only as an output.
void build_loss(KernelBuilder& k) {
  mil::Builder& b = k.b;
  const auto x2 = k.input("x2", k.config.dim);
  const auto ffn = k.input("ffn", k.config.dim);
  const auto target = k.input("target", k.config.dim);
  const auto scale = k.scalar_input("loss_scale");
  const auto y =
      b.add({{"x", as_type(b, x2, DType::fp32)}, {"y", as_type(b, ffn, DType::fp32)}}, "sum");
  const MseLoss loss = mse_loss(b, y, target, scale);
  k.output(as_type(b, y, k.config.dtype), "y");
  k.output(loss.loss, "loss");
  k.output(as_type(b, loss.dy, k.config.dtype), "dy");
}

}  // namespace anemone::nn

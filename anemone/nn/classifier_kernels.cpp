// What a language model has behind its layers: the final norm, the classifier and the loss over the
// vocabulary, forward and backward. The products with the classifier are the engine's; the rest is
// glue, whose values stay fp32 within a program.
#include <fmt/format.h>

#include "anemone/nn/blocks.h"
#include "anemone/nn/kernels.h"
#include "anemone/nn/language_model.h"

namespace anemone::nn {
namespace {

void build_final_norm(KernelBuilder& k) {
  mil::Builder& b = k.b;
  const auto y = as_type(b, k.input("y", k.config.dim), DType::fp32);
  const auto weight = as_type(b, k.norm_weight("final_norm"), DType::fp32);
  k.output(as_type(b, rms_norm(b, y, weight, k.norm_eps), k.config.dtype), "ynorm");
}

void build_logits(KernelBuilder& k) {
  k.output(k.linear(k.input("ynorm", k.config.dim), "classifier"), "logits");
}

void build_log_sum(KernelBuilder& k) {
  k.output(log_sum_exp(k.b, k.input("logits", k.rows("classifier"))), "part_log_sum");
}

void build_logits_bwd(KernelBuilder& k) {
  const auto logits = k.input("logits", k.rows("classifier"));
  const auto log_sum = k.position_input("log_sum");
  const auto weight = k.position_input("weight");
  k.output(weighted_softmax(k.b, logits, log_sum, weight), "dlogits");
}

void build_classifier_bwd(KernelBuilder& k) {
  const auto dlogits = k.input("dlogits", k.rows("classifier"));
  k.output(k.linear_transposed(dlogits, "classifier"), "dynorm");
}

// Every part of the vocabulary has its share in dynorm.
void build_final_norm_bwd(KernelBuilder& k) {
  mil::Builder& b = k.b;
  mil::Value dynorm;
  for (std::size_t part = 0; part < vocab_parts(k.config.vocab).size(); ++part) {
    const auto share = k.input(fmt::format("dynorm{}", part), k.config.dim);
    const auto wide = as_type(b, share, DType::fp32);
    dynorm = part == 0 ? wide : b.add({{"x", dynorm}, {"y", wide}}, "sum");
  }
  const auto y = k.input("y", k.config.dim);
  const RmsNormGrads grads =
      rms_norm_backward(b, dynorm, y, k.norm_weight("final_norm"), k.norm_eps);
  k.output(as_type(b, grads.dx, k.config.dtype), "dy");
  k.output(grads.dw, "dfinal_norm");
}

}  // namespace

const KernelDef kFinalNorm = {"final_norm", /*host=*/true, build_final_norm};
const KernelDef kLogits = {"logits", false, build_logits};
const KernelDef kLogSum = {"log_sum", /*host=*/true, build_log_sum};
const KernelDef kLogitsBwd = {"logits_bwd", /*host=*/true, build_logits_bwd};
const KernelDef kClassifierBwd = {"classifier_bwd", false, build_classifier_bwd};
const KernelDef kFinalNormBwd = {"final_norm_bwd", /*host=*/true, build_final_norm_bwd};

}  // namespace anemone::nn

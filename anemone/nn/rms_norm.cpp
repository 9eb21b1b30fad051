// RMSNorm, forward and backward.
//
// Forward runs inside the kernels of an accelerator, so it stays in the element type, spelled with
// the operations that the Neural Engine is known to take (pow rather than rsqrt). The mean is taken
// by reduce_mean, not by a sum times 1/C: in fp16 the sum of squares of 768 channels overflows from
// an rms of 9.2 on, the mean only from |x| = 255 on.
//
// Backward runs in glue programs, on the host: it computes in fp32 and returns fp32, so that the
// caller can add the residual gradient before the one rounding to the element type, and so that the
// weight gradient, a sum over all positions of terms of either sign, neither overflows fp16 nor
// loses its small terms on the way.
#include "anemone/nn/blocks.h"

namespace anemone::nn {
namespace {

const std::vector<std::int64_t> kChannels = {1};
const std::vector<std::int64_t> kPositions = {3};

// (mean over channels of x^2, + eps)^-1/2.     x: [1, C, 1, S]; result: [1, 1, 1, S]
mil::Value inverse_rms(mil::Builder& b, mil::Value x, double eps) {
  const auto square = b.mul({{"x", x}, {"y", x}}, "square");
  const auto mean =
      b.reduce_mean({{"x", square}, {"axes", kChannels}, {"keep_dims", true}}, "mean_square");
  const auto safe = b.add({{"x", mean}, {"y", eps}}, "mean_square_eps");
  return b.pow({{"x", safe}, {"y", -0.5}}, "inv_rms");
}

}  // namespace

mil::Value rms_norm(mil::Builder& b, mil::Value x, mil::Value w, double eps) {
  const auto unit = b.mul({{"x", x}, {"y", inverse_rms(b, x, eps)}}, "unit");
  return b.mul({{"x", unit}, {"y", w}}, "norm");
}

RmsNormGrads rms_norm_backward(mil::Builder& b, mil::Value dy, mil::Value x, mil::Value w,
                               double eps) {
  dy = as_type(b, dy, DType::fp32);
  x = as_type(b, x, DType::fp32);
  w = as_type(b, w, DType::fp32);
  const auto r = inverse_rms(b, x, eps);
  const auto unit = b.mul({{"x", x}, {"y", r}}, "unit");

  // dx = r * (w*dy - unit * mean over channels of (w*dy*unit)), which is the formula of the header
  // with x*r = unit.
  const auto wdy = b.mul({{"x", dy}, {"y", w}}, "w_dy");
  const auto along = b.mul({{"x", wdy}, {"y", unit}}, "w_dy_unit");
  const auto mean =
      b.reduce_mean({{"x", along}, {"axes", kChannels}, {"keep_dims", true}}, "mean_along");
  const auto parallel = b.mul({{"x", unit}, {"y", mean}}, "parallel");
  const auto across = b.sub({{"x", wdy}, {"y", parallel}}, "across");
  const auto dx = b.mul({{"x", across}, {"y", r}}, "norm_dx");

  const auto terms = b.mul({{"x", dy}, {"y", unit}}, "dw_terms");
  const auto dw =
      b.reduce_sum({{"x", terms}, {"axes", kPositions}, {"keep_dims", true}}, "norm_dw");
  return {dx, dw};
}

}  // namespace anemone::nn

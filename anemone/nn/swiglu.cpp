// The gate of the feed-forward block, forward and backward.
#include "anemone/nn/blocks.h"

namespace anemone::nn {

mil::Value swiglu(mil::Builder& b, mil::Value h1, mil::Value h3) {
  const auto sigmoid = b.sigmoid({{"x", h1}}, "sigmoid");
  const auto silu = b.mul({{"x", h1}, {"y", sigmoid}}, "silu");
  return b.mul({{"x", silu}, {"y", h3}}, "gated");
}

SwigluGrads swiglu_backward(mil::Builder& b, mil::Value dgate, mil::Value h1, mil::Value h3) {
  const auto sigmoid = b.sigmoid({{"x", h1}}, "sigmoid");
  const auto silu = b.mul({{"x", h1}, {"y", sigmoid}}, "silu");
  const auto dh3 = b.mul({{"x", dgate}, {"y", silu}}, "gated_dh3");

  // silu'(h) = s * (1 + h*(1 - s)).
  const auto rest = b.sub({{"x", 1.0}, {"y", sigmoid}}, "one_minus_s");
  const auto bent = b.mul({{"x", h1}, {"y", rest}}, "h_one_minus_s");
  const auto sum = b.add({{"x", bent}, {"y", 1.0}}, "one_plus");
  const auto slope = b.mul({{"x", sigmoid}, {"y", sum}}, "silu_slope");
  const auto dsilu = b.mul({{"x", dgate}, {"y", h3}}, "dsilu");
  const auto dh1 = b.mul({{"x", dsilu}, {"y", slope}}, "gated_dh1");
  return {dh1, dh3};
}

}  // namespace anemone::nn

// The host operations of a language model where numbers are extreme. (Their plain meaning is
// compared with PyTorch's in language_model_test.cpp.)
#include "anemone/train/token_ops.h"

#include <gtest/gtest.h>

#include <cmath>

#include "anemone/base/element.h"

namespace anemone::train {
namespace {

using OpKind = nn::HostOp::Kind;

// A tensor [1, channels, 1, 1] in memory of its own.
struct OnePosition {
  OnePosition(DType dtype, const std::vector<double>& values)
      : surface(64), tensor{&surface, {"t", dtype, {}, {}, 0, 0}} {
    tensor.port.shape = {1, static_cast<std::int64_t>(values.size()), 1, 1};
    tensor.port.strides = contiguous_strides(tensor.port.shape);
    const engine::HostAccess access(surface, engine::Access::write);
    for (std::size_t i = 0; i < values.size(); ++i)
      store_element(dtype, access.data(), i, values[i]);
  }
  double get(std::size_t i) {
    const engine::HostAccess access(surface, engine::Access::read);
    return load_element(tensor.port.dtype, access.data(), i);
  }
  engine::HostSurface surface;
  TokenOps::Tensor tensor;
};

// A target of probability 1 - 2e-4 or so: weight·p rounded to fp16 and then less the weight would
// be wrong by more than a tenth of what remains; the gradient is as good as fp16 can store it.
TEST(TokenOps, TheGradientOfALikelyTargetKeepsItsDigits) {
  const std::vector<double> logits = {9, 0.5, 0};
  const double log_sum = std::log(std::exp(9) + std::exp(0.5) + 1), scale = 1024;
  const double rest = std::exp(9 - log_sum) - 1;
  OnePosition x(DType::fp16, {0, 0}), part(DType::fp16, logits), part_sum(DType::fp32, {log_sum}),
      sum(DType::fp32, {0}), weight(DType::fp32, {0});
  OnePosition dlogits(DType::fp16, {scale * (1 + rest), 0, 0});
  EXPECT_GT(std::abs(dlogits.get(0) - scale - scale * rest), 0.1 * std::abs(scale * rest));

  compute::ThreadPool pool(1);
  const GradientBlock nothing({});
  TokenOps ops(pool, nothing);
  const std::vector<float> embedding(6);
  const int embed = ops.add({OpKind::embed, x.tensor, {}, {}, 0, embedding, {}});
  const int pick = ops.add({OpKind::pick_targets, part.tensor, part_sum.tensor, {}, 0, {}, {}});
  const int join = ops.add({OpKind::join_loss, {}, sum.tensor, weight.tensor, 0, {}, {}});
  const int subtract =
      ops.add({OpKind::subtract_targets, dlogits.tensor, sum.tensor, weight.tensor, 0, {}, {}});
  const std::uint32_t tokens[] = {1, 0};
  ops.begin(tokens, scale);
  for (const int op : {embed, pick, join, subtract}) ops.run(op);
  EXPECT_EQ(weight.get(0), scale);
  // The part's sum was rounded to fp32.
  EXPECT_NEAR(ops.loss(), log_sum - 9, 9 * std::ldexp(1, -24));
  const double tolerance = std::ldexp(1, -11) * std::abs(rest) + 9 * std::ldexp(1, -24);
  EXPECT_NEAR(dlogits.get(0) / scale, rest, tolerance);
}

}  // namespace
}  // namespace anemone::train

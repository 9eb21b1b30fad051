// The optimizer's passes, one text for every instruction set.
#pragma once

#include "anemone/kernels/optimizer/optimizer.h"
#include "anemone/kernels/simd/simd.h"

namespace anemone::kernels {
namespace {

struct AdamVectors {
  Float w, m, v;
};

ANEMONE_INLINE AdamVectors adam_step(const AdamArgs& args, AdamVectors old, Float gradient) {
  const Float g =
      fma(broadcast(args.coupled_decay), old.w, mul(broadcast(args.gradient_scale), gradient));
  AdamVectors now;
  now.m = fma(broadcast(args.beta1), old.m, mul(broadcast(args.one_minus_beta1), g));
  now.v = fma(broadcast(args.beta2), old.v, mul(broadcast(args.one_minus_beta2), mul(g, g)));
  const Float denominator = fma(sqrt(now.v), broadcast(args.v_scale), broadcast(args.epsilon));
  const Float step = div(mul(broadcast(args.step), now.m), denominator);
  now.w = sub(old.w, fma(broadcast(args.decoupled_decay), old.w, step));
  return now;
}

}  // namespace

void ANEMONE_KERNEL(adam)(const AdamArgs& args) noexcept {
  std::ptrdiff_t i = 0;
  for (; i + kLanes <= args.n; i += kLanes) {
    const AdamVectors old{load(args.weights + i), load(args.m + i), load(args.v + i)};
    const AdamVectors now = adam_step(args, old, load(args.gradient + i));
    store(args.weights + i, now.w);
    store(args.m + i, now.m);
    store(args.v + i, now.v);
  }
  if (const std::ptrdiff_t rest = args.n - i; rest > 0) {
    const AdamVectors old{load_partial(args.weights + i, rest, 0),
                          load_partial(args.m + i, rest, 0), load_partial(args.v + i, rest, 0)};
    const AdamVectors now = adam_step(args, old, load_partial(args.gradient + i, rest, 0));
    store_partial(args.weights + i, rest, now.w);
    store_partial(args.m + i, rest, now.m);
    store_partial(args.v + i, rest, now.v);
  }
}

// Plain loops over lanes of double that the compiler turns into vectors; as many as keep additions
// from waiting for each other.
GradientPart ANEMONE_KERNEL(summarize_gradient)(const float* gradient, std::ptrdiff_t n) noexcept {
  constexpr int kSums = 32;
  double sums[kSums] = {};
  std::uint32_t nonzero[kSums] = {}, largest[kSums] = {};
  const auto take = [&](int lane, float g) {
    const std::uint32_t magnitude = float_bits(g) & 0x7fffffffu;
    sums[lane] += static_cast<double>(g) * static_cast<double>(g);
    nonzero[lane] |= magnitude;
    largest[lane] = magnitude > largest[lane] ? magnitude : largest[lane];
  };
  std::ptrdiff_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (int lane = 0; lane < kSums; ++lane) take(lane, gradient[i + lane]);
  }
  for (; i < n; ++i) take(static_cast<int>(i % kSums), gradient[i]);
  for (int half = kSums / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) {
      sums[lane] += sums[lane + half];
      nonzero[lane] |= nonzero[lane + half];
      largest[lane] = largest[lane] > largest[lane + half] ? largest[lane] : largest[lane + half];
    }
  }
  return {sums[0], largest[0] < 0x7f800000u, nonzero[0] == 0};
}

}  // namespace anemone::kernels

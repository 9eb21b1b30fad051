// The Adam update against its formula in double, and gradient summaries.
#include "anemone/compute/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "anemone/kernels/reduce/reduce.h"
#include "tests/compute/pools.h"
#include "tests/support/numbers.h"
#include "tests/support/tensors.h"

namespace anemone::compute {
namespace {

using test::kEps;

std::vector<float> random_floats(std::size_t n, std::uint32_t seed, double low, double high) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(uniform(random));
  return values;
}

struct State {
  std::vector<float> w, m, v, g;
  explicit State(std::size_t n)
      : w(random_floats(n, 1, -1, 1)),
        m(random_floats(n, 2, -1, 1)),
        v(random_floats(n, 3, 0, 1)),
        g(random_floats(n, 4, -2, 2)) {}
  void update(ThreadPool& pool, const AdamOptions& options, const CpuFeatures& features) {
    adam_update(pool, options, w, m, v, g, features);
  }
};

void expect_adam(const AdamOptions& o, const State& before, const State& after) {
  const double beta1 = o.beta1, beta2 = o.beta2, lr = o.learning_rate, decay = o.weight_decay;
  for (std::size_t i = 0; i < before.w.size(); ++i) {
    const double w = before.w[i];
    double g = static_cast<double>(o.gradient_scale) * static_cast<double>(before.g[i]);
    if (!o.decoupled_decay) g += decay * w;
    const double m = beta1 * before.m[i] + (1 - beta1) * g;
    const double v = beta2 * before.v[i] + (1 - beta2) * g * g;
    const double m_hat = m / (1 - std::pow(beta1, o.t)), v_hat = v / (1 - std::pow(beta2, o.t));
    double change = lr * m_hat / (std::sqrt(v_hat) + static_cast<double>(o.epsilon));
    if (o.decoupled_decay) change += lr * decay * w;
    // Sums of two terms may cancel, so errors are measured by the terms: a handful of roundings
    // each.
    const double g_size = std::abs(g) + decay * std::abs(w);
    const double m_size = beta1 * std::abs(before.m[i]) + (1 - beta1) * g_size;
    ASSERT_NEAR(after.m[i], m, 6 * kEps * m_size) << i;
    ASSERT_NEAR(after.v[i], v, 8 * kEps * v + 8 * kEps * (1 - beta2) * g_size * g_size) << i;
    const double change_size = lr * (m_size / (1 - std::pow(beta1, o.t)) /
                                         (std::sqrt(v_hat) + static_cast<double>(o.epsilon)) +
                                     decay * std::abs(w));
    const double g_error = v > 0 ? g_size * g_size * (1 - beta2) / v : 1;  // of v, relative
    ASSERT_NEAR(after.w[i], w - change,
                kEps * std::abs(w) + (24 + 8 * g_error) * kEps * change_size)
        << i;
  }
}

TEST(Adam, FollowsItsFormula) {
  const auto pools = make_pools();
  AdamOptions plain, decayed, coupled;
  decayed.weight_decay = 0.1f;
  decayed.t = 1000;
  decayed.gradient_scale = 1.0f / 4096;
  coupled.weight_decay = 0.01f;
  coupled.decoupled_decay = false;
  coupled.t = 7;
  coupled.learning_rate = 0.3f;
  coupled.epsilon = 0.1f;
  for (const CpuFeatures& features : test::runnable(kernels::optimizer_kernels())) {
    for (const std::size_t n : {1u, 5u, 16u, 1000u, 50001u}) {
      for (const AdamOptions& options : {plain, decayed, coupled}) {
        const State before(n);
        State after = before;
        after.update(*pools[0], options, features);
        expect_adam(options, before, after);
        for (const auto& pool : pools) {
          State again = before;
          again.update(*pool, options, features);
          EXPECT_TRUE(again.w == after.w && again.m == after.m && again.v == after.v);
        }
      }
    }
  }
}

TEST(Adam, FirstStepIsTheLearningRate) {
  ThreadPool pool(1);
  std::vector<float> w{1, 1, 1}, m(3), v(3), g{0.5f, -1e-3f, 0};
  AdamOptions options;
  options.learning_rate = 0.01f;
  adam_update(pool, options, w, m, v, g);
  EXPECT_NEAR(w[0], 0.99, 1e-6);
  EXPECT_NEAR(w[1], 1.01, 1e-6);
  EXPECT_EQ(w[2], 1);
}

TEST(GradientSummary, SumsSquaresInAFixedOrder) {
  const auto pools = make_pools();
  for (const CpuFeatures& features : test::runnable(kernels::optimizer_kernels())) {
    for (const std::size_t n : {0u, 1u, 7u, 8u, 100u, 100003u, 5000000u}) {
      const std::vector<float> g = random_floats(n, 8, -3, 3);
      double exact = 0;
      for (const float x : g) exact += static_cast<double>(x) * static_cast<double>(x);
      const GradientSummary one = summarize_gradient(*pools[0], g, features);
      EXPECT_NEAR(one.sum_of_squares, exact, static_cast<double>(n) * 0x1p-52 * exact);
      EXPECT_TRUE(one.finite);
      EXPECT_EQ(one.zero, n == 0);
      for (const auto& pool : pools) {
        EXPECT_EQ(summarize_gradient(*pool, g, features).sum_of_squares, one.sum_of_squares);
      }
    }
  }
}

TEST(GradientSummary, FindsWhatIsNotFinite) {
  ThreadPool pool(2);
  for (const CpuFeatures& features : test::runnable(kernels::optimizer_kernels())) {
    for (const float bad :
         {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
          std::numeric_limits<float>::quiet_NaN()}) {
      for (const std::size_t at : {0u, 9u, 40000u}) {
        std::vector<float> g(40001, 1e30f);
        EXPECT_TRUE(summarize_gradient(pool, g, features).finite);
        g[at] = bad;
        EXPECT_FALSE(summarize_gradient(pool, g, features).finite);
      }
    }
    std::vector<float> zeros(1000, -0.0f);
    EXPECT_TRUE(summarize_gradient(pool, zeros, features).zero);
    zeros[999] = 1e-45f;
    EXPECT_FALSE(summarize_gradient(pool, zeros, features).zero);
  }
}

TEST(AddInOrder, AddsOnePartAfterAnother) {
  for (const CpuFeatures& features : test::runnable(kernels::reduce_kernels())) {
    for (const auto& pool : make_pools()) {
      for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{50001}}) {
        std::vector<float> sum(n, 1);
        const std::vector<float> small = random_floats(n, 5, 0, 1e-7), large(n, -1);
        std::vector<float> expected = sum;
        for (std::size_t i = 0; i < n; ++i) expected[i] = (expected[i] + small[i]) + large[i];
        const std::span<const float> parts[] = {small, large};
        add_in_order(*pool, sum, parts, features);
        EXPECT_EQ(sum, expected);
      }
    }
  }
}

TEST(FillZero, ClearsAll) {
  ThreadPool pool(2);
  std::vector<float> values(200003, 1.0f);
  fill_zero(pool, values);
  EXPECT_TRUE(summarize_gradient(pool, values).zero);
}

}  // namespace
}  // namespace anemone::compute

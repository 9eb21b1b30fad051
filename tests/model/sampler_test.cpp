// The sampler: greedy, cuts, statistics against softmax, and tokens that are the same everywhere.
#include "anemone/model/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/model/small_model.h"

namespace anemone::model {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  double sum = 0;
  std::vector<double> probabilities;
  for (const float logit : logits)
    probabilities.push_back(std::exp(static_cast<double>(logit) / temperature));
  for (const double p : probabilities) sum += p;
  for (double& p : probabilities) p /= sum;
  return probabilities;
}

// How often each token comes.
std::vector<double> shares(const SamplerOptions& options, const std::vector<float>& logits,
                           int draws) {
  Sampler sampler(options);
  std::vector<double> counts(logits.size());
  for (int i = 0; i < draws; ++i) ++counts[sampler.sample(logits)];
  for (double& count : counts) count /= draws;
  return counts;
}

// Within five standard deviations of the binomial distribution.
void expect_shares(const std::vector<double>& found, const std::vector<double>& expected,
                   int draws) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double deviation = std::sqrt(expected[i] * (1 - expected[i]) / draws);
    EXPECT_NEAR(found[i], expected[i], 5 * deviation + 1e-12) << "token " << i;
  }
}

const std::vector<float> kLogits = {0.5F, 2.0F, -1.0F, 1.5F, 0.0F, -3.0F};
constexpr int kDraws = 40000;

TEST(Sampler, GreedyTakesTheFirstOfTheLargest) {
  Sampler sampler({.temperature = 0});
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 3, 2}), 1U);
  EXPECT_EQ(sampler.sample(std::vector<float>{kNaN, -5, kNaN, -4}), 3U);
}

TEST(Sampler, FollowsSoftmax) {
  for (const double temperature : {0.5, 1.0, 2.0}) {
    const SamplerOptions options{.temperature = temperature};
    expect_shares(shares(options, kLogits, kDraws), softmax(kLogits, temperature), kDraws);
  }
}

TEST(Sampler, TopKLeavesTheMostProbable) {
  const std::vector<double> p = softmax(kLogits, 1);
  const double kept = p[1] + p[3];
  expect_shares(shares({.top_k = 2}, kLogits, kDraws), {0, p[1] / kept, 0, p[3] / kept, 0, 0},
                kDraws);
  expect_shares(shares({.top_k = 100}, kLogits, kDraws), p, kDraws);
  EXPECT_EQ(shares({.top_k = 1}, kLogits, 100)[1], 1);
}

TEST(Sampler, TopPLeavesTheSmallestSetThatReachesIt) {
  const std::vector<double> p = softmax(kLogits, 1);  // 0.12 0.53 0.03 0.32 …
  ASSERT_LT(p[1], 0.6);
  ASSERT_GT(p[1] + p[3], 0.78);
  const double kept = p[1] + p[3];
  expect_shares(shares({.top_p = 0.78}, kLogits, kDraws), {0, p[1] / kept, 0, p[3] / kept, 0, 0},
                kDraws);
  EXPECT_EQ(shares({.top_p = 0.1}, kLogits, 100)[1], 1);
  // Of equals the first ones stay.
  const auto equal = shares({.top_p = 0.5}, {1, 1, 1, 1}, kDraws);
  expect_shares(equal, {0.5, 0.5, 0, 0}, kDraws);
}

TEST(Sampler, BothCutsAreTakenOneAfterTheOther) {
  const std::vector<double> p = softmax(kLogits, 1);
  const double three = p[1] + p[3] + p[0];
  ASSERT_GT((p[1] + p[3]) / three, 0.85);
  const double kept = p[1] + p[3];
  expect_shares(shares({.top_k = 3, .top_p = 0.85}, kLogits, kDraws),
                {0, p[1] / kept, 0, p[3] / kept, 0, 0}, kDraws);
}

// Numbers that Python finds, too: another machine, compiler or library must find the same.
TEST(Sampler, IsTheSameEverywhere) {
  Sampler sampler({.temperature = 1.3, .top_p = 0.95, .seed = 7});
  std::vector<float> logits;
  for (int i = 0; i < 1000; ++i) logits.push_back(static_cast<float>((i * 7919) % 1000) / 125);
  std::vector<std::uint32_t> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(sampler.sample(logits));
  EXPECT_EQ(ids, (std::vector<std::uint32_t>{75, 963, 473, 51, 532, 124, 816, 581}));
  Sampler again({.temperature = 1.3, .top_p = 0.95, .seed = 7}), other({.seed = 8});
  EXPECT_EQ(again.sample(logits), ids[0]);
  bool differs = false;
  for (int i = 0; i < 8; ++i) differs |= other.sample(logits) != ids[static_cast<std::size_t>(i)];
  EXPECT_TRUE(differs);
}

TEST(Sampler, ExtremeLogits) {
  Sampler sampler({});
  EXPECT_EQ(sampler.sample(std::vector<float>{-kInf, 5, kNaN}), 1U);
  EXPECT_EQ(sampler.sample(std::vector<float>{-3e38F, 3e38F}), 1U);
  EXPECT_THROW((void)sampler.sample(std::vector<float>{kNaN, kNaN}), Error);
  EXPECT_THROW((void)sampler.sample(std::vector<float>{kInf, 1}), Error);
  EXPECT_THROW((void)sampler.sample(std::vector<float>{-kInf, -kInf}), Error);
}

TEST(Sampler, RefusesValuesOutOfRange) {
  EXPECT_THROW(Sampler({.temperature = -1}), Error);
  EXPECT_THROW(Sampler({.temperature = std::nan("")}), Error);
  EXPECT_THROW(Sampler({.top_k = -1}), Error);
  EXPECT_THROW(Sampler({.top_p = 0}), Error);
  EXPECT_THROW(Sampler({.top_p = 1.5}), Error);
  EXPECT_NO_THROW(Sampler({.temperature = 0, .top_k = 1, .top_p = 1}));
}

}  // namespace
}  // namespace anemone::model

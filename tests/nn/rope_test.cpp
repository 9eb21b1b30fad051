// Rotary position embedding against its definition, and what it is for: products of queries and
// keys that know only distances.
#include <gtest/gtest.h>

#include <cmath>

#include "anemone/mil/evaluate.h"
#include "anemone/mil/verifier.h"
#include "anemone/nn/blocks.h"

namespace anemone::test {
namespace {

constexpr std::int64_t kHeads = 3, kHeadDim = 6, kSeq = 5;

nn::ModelConfig rope_config(nn::Rope rope) {
  nn::ModelConfig config;
  config.dim = kHeads * kHeadDim;
  config.hidden = 8;
  config.heads = kHeads;
  config.seq = kSeq;
  config.rope = rope;
  config.rope_theta = 50;
  config.dtype = DType::fp32;
  config.resolve();
  return config;
}

std::vector<double> turned(const nn::ModelConfig& config, const std::vector<double>& x) {
  mil::Program program;
  mil::Builder b(program);
  const auto in = b.input("x", mil::Type::tensor(DType::fp32, {1, kHeads * kHeadDim, 1, kSeq}));
  b.output(nn::rope(b, config, in, nn::rope_table(b, config, DType::fp32)), "y");
  mil::verify_or_throw(program, "rope");
  mil::ConstantSource constants;
  return mil::evaluate<double>(program.main(), {{"x", x}}, constants).at("y");
}

std::vector<double> numbers() {
  std::vector<double> x;
  for (int i = 0; i < kHeads * kHeadDim * kSeq; ++i) x.push_back(std::sin(1.7 * i));
  return x;
}

class RopeLayout : public testing::TestWithParam<nn::Rope> {};

TEST_P(RopeLayout, TurnsEveryPairByItsAngle) {
  const auto x = numbers(), y = turned(rope_config(GetParam()), x);
  ASSERT_EQ(y.size(), x.size());
  for (std::int64_t head = 0; head < kHeads; ++head) {
    for (std::int64_t pair = 0; pair < kHeadDim / 2; ++pair) {
      const bool neighbours = GetParam() == nn::Rope::pairs;
      const std::int64_t a = neighbours ? 2 * pair : pair;
      const std::int64_t b = neighbours ? 2 * pair + 1 : pair + kHeadDim / 2;
      for (std::int64_t s = 0; s < kSeq; ++s) {
        const auto at = [&](std::int64_t channel) {
          return static_cast<std::size_t>((head * kHeadDim + channel) * kSeq + s);
        };
        const double angle =
            static_cast<double>(s) * std::pow(50, -2.0 * static_cast<double>(pair) / kHeadDim);
        // Constants, products and the sum are rounded to fp32.
        const double tolerance = 4 * std::ldexp(1, -24);
        EXPECT_NEAR(y[at(a)], x[at(a)] * std::cos(angle) - x[at(b)] * std::sin(angle), tolerance);
        EXPECT_NEAR(y[at(b)], x[at(a)] * std::sin(angle) + x[at(b)] * std::cos(angle), tolerance);
      }
    }
  }
}

// The same vector at every position, and another: their product after the turns depends on the
// distance alone.
TEST_P(RopeLayout, ProductsKnowOnlyDistances) {
  std::vector<double> query = numbers(), key = numbers();
  for (std::size_t i = 0; i < query.size(); ++i) {
    const std::size_t channel = i / kSeq;
    query[i] = std::sin(1.3 * static_cast<double>(channel));
    key[i] = std::cos(0.4 * static_cast<double>(channel));
  }
  const auto config = rope_config(GetParam());
  const auto q = turned(config, query), k = turned(config, key);
  const auto score = [&](std::size_t i, std::size_t j) {
    double sum = 0;
    for (std::size_t c = 0; c < kHeadDim; ++c) sum += q[c * kSeq + i] * k[c * kSeq + j];
    return sum;
  };
  const double tolerance = 16 * kHeadDim * std::ldexp(1, -24);
  for (std::size_t i = 1; i < kSeq; ++i) {
    for (std::size_t j = 1; j < kSeq; ++j)
      EXPECT_NEAR(score(i, j), score(i - 1, j - 1), tolerance) << i << ", " << j;
  }
  EXPECT_GT(std::abs(score(0, 0) - score(1, 0)), 0.1);
}

INSTANTIATE_TEST_SUITE_P(Layouts, RopeLayout, testing::Values(nn::Rope::pairs, nn::Rope::halves),
                         [](const auto& test) { return nn::rope_name(test.param); });

}  // namespace
}  // namespace anemone::test

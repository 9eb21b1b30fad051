// The rule of dynamic loss scaling.
#include "anemone/train/loss_scale.h"

#include <gtest/gtest.h>

namespace anemone::train {
namespace {

using Gradient = LossScale::Gradient;

TEST(LossScale, GrowsAfterEnoughGoodUpdates) {
  LossScale scale;
  scale.scale = 8;
  scale.growth_interval = 3;
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(scale.observe(Gradient::good));
  EXPECT_EQ(scale.scale, 8);
  EXPECT_TRUE(scale.observe(Gradient::good));
  EXPECT_EQ(scale.scale, 16);
  EXPECT_EQ(scale.good_updates, 0);
}

TEST(LossScale, NonFiniteHalvesAndStartsCountingAgain) {
  LossScale scale;
  scale.scale = 8;
  scale.growth_interval = 2;
  EXPECT_TRUE(scale.observe(Gradient::good));
  EXPECT_FALSE(scale.observe(Gradient::non_finite));
  EXPECT_EQ(scale.scale, 4);
  EXPECT_TRUE(scale.observe(Gradient::good));
  EXPECT_EQ(scale.scale, 4);
}

TEST(LossScale, AllZeroRaises) {
  LossScale scale;
  scale.scale = 8;
  EXPECT_FALSE(scale.observe(Gradient::all_zero));
  EXPECT_EQ(scale.scale, 16);
}

TEST(LossScale, StaysWithinItsBounds) {
  LossScale scale;
  for (int i = 0; i < 100; ++i) scale.observe(Gradient::non_finite);
  EXPECT_EQ(scale.scale, LossScale::kMin);
  for (int i = 0; i < 100; ++i) scale.observe(Gradient::all_zero);
  EXPECT_EQ(scale.scale, LossScale::kMax);
}

TEST(LossScale, AFixedOneStays) {
  LossScale scale;
  scale.dynamic = false;
  scale.scale = 8;
  scale.growth_interval = 1;
  EXPECT_TRUE(scale.observe(Gradient::good));
  EXPECT_FALSE(scale.observe(Gradient::non_finite));
  EXPECT_FALSE(scale.observe(Gradient::all_zero));
  EXPECT_EQ(scale.scale, 8);
}

}  // namespace
}  // namespace anemone::train

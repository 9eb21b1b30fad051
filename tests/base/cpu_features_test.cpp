// Capping, by which tests see what a lesser machine would choose.
#include "anemone/base/cpu_features.h"

#include <gtest/gtest.h>

#include <string>

namespace anemone {
namespace {

TEST(CpuFeatures, PlainIsAlwaysThere) { EXPECT_TRUE(cpu_features().has(Isa::plain)); }

TEST(CpuFeatures, ALevelContainsTheOnesBelow) {
  const CpuFeatures& have = cpu_features();
  EXPECT_LE(have.has(Isa::avx512), have.has(Isa::avx2));
  EXPECT_LE(have.has(Isa::avx512bf16), have.has(Isa::avx512));
  EXPECT_LE(have.has(Isa::amx), have.has(Isa::avx512));
}

TEST(CpuFeatures, CapsOnlyTakeAway) {
  const CpuFeatures all{0xffffffffu};
  EXPECT_FALSE(all.capped(Isa::avx2).has(Isa::avx512));
  EXPECT_TRUE(all.capped(Isa::avx2).has(Isa::avx2));
  EXPECT_FALSE(all.capped(Isa::amx).has(Isa::neon));
  EXPECT_TRUE(all.capped(Isa::neon).has(Isa::neon));
  EXPECT_FALSE(all.capped(Isa::neon).has(Isa::avx2));
  EXPECT_FALSE(CpuFeatures{1}.capped(Isa::amx).has(Isa::avx2)) << "a cap grants nothing";
}

TEST(CpuFeatures, HasAName) {
  EXPECT_NE(std::string(cpu_model_name()), "");
  EXPECT_STREQ(isa_name(Isa::avx512bf16), "avx512bf16");
}

}  // namespace
}  // namespace anemone

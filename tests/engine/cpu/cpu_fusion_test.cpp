// Fusions of the cpu engine: which steps they leave, and that nothing changes but roundings. Each
// case also runs with every fusion disabled.
#include <gtest/gtest.h>

#include "anemone/nn/blocks.h"
#include "tests/engine/cpu/fusion_case.h"

namespace anemone::test {
namespace {

using mil::Builder;
using mil::Value;

TEST(CpuFusion, ArithmeticBecomesOneProgram) {
  FusionCase c;
  Builder& b = c.b;
  const Value h = c.input("h", {1, 20, 1, 33}), g = c.input("g", {1, 20, 1, 33});
  const Value w = c.input("w", {1, 20, 1, 1});
  const Value s = b.sigmoid({{"x", h}});
  const Value silu = b.mul({{"x", h}, {"y", s}});
  const Value gated = b.mul({{"x", silu}, {"y", g}});
  b.output(b.mul({{"x", gated}, {"y", w}}), "weighted");
  b.output(silu, "silu");  // also stored
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 1 steps")) << text;
  EXPECT_TRUE(has(text, "3 in, 4 steps, 2 out")) << text;
}

// b depends on a and c on both: a and c cannot be one step.
TEST(CpuFusion, MergesMakeNoCycles) {
  FusionCase c;
  Builder& b = c.b;
  const Value x = c.input("x", {6, 8});
  const Value first = b.exp({{"x", x}});
  const Value sum =
      b.reduce_sum({{"x", first}, {"axes", std::vector<std::int64_t>{1}}, {"keep_dims", true}});
  b.output(b.real_div({{"x", first}, {"y", sum}}), "y");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 3 steps")) << text;
}

TEST(CpuFusion, LongProgramsAreCutWhereSlotsRunOut) {
  FusionCase c(DType::fp32);
  Builder& b = c.b;
  std::vector<Value> values;
  for (int i = 0; i < 40; ++i) values.push_back(c.input("x" + std::to_string(i), {5, 7}));
  Value sum = b.mul({{"x", values[0]}, {"y", values[1]}});
  for (const Value value : values) sum = b.add({{"x", sum}, {"y", value}});
  for (const Value value : values) sum = b.maximum({{"x", sum}, {"y", value}});
  b.output(sum, "y");
  c.check();
}

TEST(CpuFusion, IntegersAndTruthValuesAreStoredInBetween) {
  FusionCase c(DType::fp32);
  Builder& b = c.b;
  const Value x = c.input("x", {4, 9});
  const Value big = b.mul({{"x", x}, {"y", 100.0}});
  const Value whole = b.cast({{"x", big}, {"dtype", "int32"}});
  const Value back = b.cast({{"x", whole}, {"dtype", "fp32"}});
  b.output(b.add({{"x", back}, {"y", 0.25}}), "y");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 3 steps")) << text;
}

TEST(CpuFusion, WideCopiesAreNotStored) {
  FusionCase c;
  Builder& b = c.b;
  const Value x = c.input("x", {8, 9}), w = c.input("w", {8, 1});
  const Value wide = b.cast({{"x", x}, {"dtype", "fp32"}});
  const Value wide_w = b.cast({{"x", w}, {"dtype", "fp32"}});
  const Value square = b.mul({{"x", wide}, {"y", wide}});
  const Value sum =
      b.reduce_sum({{"x", square}, {"axes", std::vector<std::int64_t>{0}}, {"keep_dims", true}});
  const Value part = b.mul({{"x", wide}, {"y", sum}});
  b.output(b.mul({{"x", part}, {"y", wide_w}}), "y");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 2 steps")) << text;
}

// RMSNorm's backward pass: sums over products that are never stored, then one pass for dx.
TEST(CpuFusion, ReductionsComputeWhatTheyRead) {
  FusionCase c;
  Builder& b = c.b;
  const Value x = c.input("x", {1, 20, 1, 33}), dy = c.input("dy", {1, 20, 1, 33});
  const Value w = c.input("w", {1, 20, 1, 1});
  const nn::RmsNormGrads grads = nn::rms_norm_backward(b, dy, x, w, 1e-3);
  b.output(grads.dx, "dx");
  b.output(grads.dw, "dw");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 5 steps")) << text;  // two means, 1 / rms, dw, dx
  EXPECT_TRUE(has(text, "reduction 'dw' (cast, cast, mul, mul, reduce_sum)")) << text;
}

// An exponential that others want, too, is computed once; one that nobody else wants is not stored.
TEST(CpuFusion, ReductionsRepeatOnlyWhatIsCheap) {
  for (const bool wanted : {true, false}) {
    FusionCase c;
    Builder& b = c.b;
    const Value x = c.input("x", {6, 8});
    const Value e = b.exp({{"x", x}});
    const std::vector<std::int64_t> axes = {0};
    b.output(b.reduce_max({{"x", e}, {"axes", axes}, {"keep_dims", false}}), "y");
    if (wanted) b.output(b.silu({{"x", e}}), "z");
    const std::string text = c.check();
    EXPECT_EQ(has(text, "reduction 'y' (exp, reduce_max)"), !wanted) << text;
  }
}

// The wide copy is stored after all where a reader cannot make it, and is then stored by its own
// step, whatever becomes of the groups that repeat it.
TEST(CpuFusion, AWideCopyIsStoredForReadersThatNeedIt) {
  FusionCase c;
  Builder& b = c.b;
  const Value x = c.input("x", {4, 9}), y = c.input("y", {4, 9}, DType::fp32);
  const Value wide = b.cast({{"x", x}, {"dtype", "fp32"}});
  const Value sum = b.add({{"x", wide}, {"y", y}});
  b.output(b.silu({{"x", sum}}), "silu");
  b.output(b.softmax({{"x", wide}, {"axis", 0}}), "probs");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 3 steps")) << text;
}

TEST(CpuFusion, ProductsTakeScalesCastsAndSums) {
  FusionCase c;
  Builder& b = c.b;
  const Value x = c.input("x", {2, 9, 6}), y = c.input("y", {2, 6, 11});
  const Value r = c.input("r", {9, 11}, DType::fp32);
  const Value half = b.mul({{"x", x}, {"y", 0.5}});
  const Value product = b.matmul({{"x", half}, {"y", y}});
  const Value scaled = b.mul({{"x", 3.0}, {"y", product}});
  const Value wide = b.cast({{"x", scaled}, {"dtype", "fp32"}});
  b.output(b.add({{"x", r}, {"y", wide}}), "z");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 1 steps")) << text;
  EXPECT_TRUE(has(text, "times 1.5, plus residual")) << text;
}

TEST(CpuFusion, ConvolutionsTakeASumUnlessTheyHaveABias) {
  for (const bool biased : {false, true}) {
    FusionCase c;
    Builder& b = c.b;
    const Value x = c.input("x", {2, 6, 3, 5}), r = c.input("r", {2, 8, 3, 5});
    const Value w = c.input("w", {8, 6, 1, 1}), bias = c.input("bias", {8});
    const Value y = biased ? b.conv({{"x", x}, {"weight", w}, {"bias", bias}})
                           : b.conv({{"x", x}, {"weight", w}});
    b.output(b.add({{"x", y}, {"y", r}}), "z");
    const std::string text = c.check();
    EXPECT_TRUE(has(text, biased ? ": 2 steps" : ": 1 steps")) << text;
  }
}

// Positions that are not evenly spaced in all tensors are done row by row.
TEST(CpuFusion, ConvolutionsTakeSumsOfAnyShapeIntoAnyPlace) {
  FusionCase c;
  Builder& b = c.b;
  const Value x = c.input("x", {2, 6, 3, 5}), w = c.input("w", {8, 6, 1, 1});
  std::vector<Value> parts;
  for (const Shape& shape :
       {Shape{1, 8, 1, 1}, Shape{2, 1, 1, 5}, Shape{3, 1}, Shape{}, Shape{5}}) {
    const Value r = c.input("r" + std::to_string(parts.size()), shape);
    const Value y = b.conv({{"x", x}, {"weight", w}});
    parts.push_back(b.add({{"x", r}, {"y", y}}));
  }
  b.output(b.concat({{"values", parts}, {"axis", 3}}), "z");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 5 steps")) << text;
}

TEST(CpuFusion, ProductsTakeSumsOfAnyShapeIntoAnyPlace) {
  FusionCase c;
  Builder& b = c.b;
  const Value x = c.input("x", {2, 3, 4, 6}), y = c.input("y", {3, 6, 5});
  std::vector<Value> parts;
  for (const Shape& shape : {Shape{2, 1, 4, 1}, Shape{3, 1, 1}, Shape{4, 5}, Shape{}, Shape{5}}) {
    const Value r = c.input("r" + std::to_string(parts.size()), shape);
    const Value product = b.matmul({{"x", x}, {"y", y}});
    parts.push_back(b.add({{"x", r}, {"y", product}}));
  }
  b.output(b.concat({{"values", parts}, {"axis", 2}, {"interleave", true}}), "z");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 5 steps")) << text;
}

TEST(CpuFusion, ProductsOfVectorsTakeSums) {
  FusionCase c;
  Builder& b = c.b;
  const Value x = c.input("x", {2, 3, 6}), v = c.input("v", {6}), r = c.input("r", {3});
  b.output(b.add({{"x", b.matmul({{"x", x}, {"y", v}})}, {"y", r}}), "column");
  const Value y = c.input("y", {2, 6, 3});
  b.output(b.add({{"x", r}, {"y", b.matmul({{"x", v}, {"y", y}})}}), "row");
  const Value u = c.input("u", {6}), one = c.input("one", Shape{});
  b.output(b.add({{"x", one}, {"y", b.matmul({{"x", v}, {"y", u}})}}), "number");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 3 steps")) << text;
}

TEST(CpuFusion, OtherConvolutionsGatherTheirInput) {
  FusionCase c;
  Builder& b = c.b;
  const Value x = c.input("x", {2, 6, 9, 7}), r = c.input("r", {2, 4, 5, 4});
  const Value w = c.input("w", {4, 3, 3, 2});
  const Value y = b.conv({{"x", x},
                          {"weight", w},
                          {"strides", std::vector<std::int64_t>{2, 2}},
                          {"pad_type", "custom"},
                          {"pad", std::vector<std::int64_t>{1, 1, 0, 1}},
                          {"groups", 2}});
  b.output(b.add({{"x", y}, {"y", r}}), "z");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, "im2col")) << text;
  EXPECT_TRUE(has(text, "pointwise: 2 groups")) << text;
}

TEST(CpuFusion, CausalAttentionSkipsWhatIsMasked) {
  for (const double hidden : {-65504.0, -1e4}) {
    FusionCase c;
    Builder& b = c.b;
    const Value q = c.input("q", {1, 2, 8, 50}), k = c.input("k", {1, 2, 8, 50});
    const Value v = c.input("v", {1, 2, 8, 50}), g = c.input("g", {1, 2, 8, 50});
    const Value scores = b.matmul({{"x", q}, {"y", k}, {"transpose_x", true}});
    const Value scaled = b.mul({{"x", scores}, {"y", 0.5}});
    const Value masked = b.add({{"x", scaled}, {"y", c.mask(50, hidden)}});
    const Value probs = b.softmax({{"x", masked}, {"axis", -1}});
    b.output(b.matmul({{"x", v}, {"y", probs}, {"transpose_y", true}}), "out");
    const Value dp = b.matmul({{"x", g}, {"y", v}, {"transpose_x", true}});
    const Value weighted = b.mul({{"x", dp}, {"y", probs}});
    const Value sum = b.reduce_sum(
        {{"x", weighted}, {"axes", std::vector<std::int64_t>{-1}}, {"keep_dims", true}});
    const Value centered = b.sub({{"x", dp}, {"y", sum}});
    const Value ds = b.mul({{"x", centered}, {"y", probs}});
    b.output(b.matmul({{"x", q}, {"y", ds}}), "dk");
    b.output(b.matmul({{"x", k}, {"y", ds}, {"transpose_y", true}}), "dq");
    const std::string text = c.check();
    EXPECT_TRUE(has(text, ": 7 steps")) << text;
    EXPECT_TRUE(has(text, "no mask")) << text;
    EXPECT_TRUE(has(text, "causal softmax backward")) << text;
  }
}

// Scores that are an output are wanted whole.
TEST(CpuFusion, ScoresThatAreWantedAreComputedWhole) {
  FusionCase c;
  Builder& b = c.b;
  const Value q = c.input("q", {8, 50}), k = c.input("k", {8, 50});
  const Value scores = b.matmul({{"x", q}, {"y", k}, {"transpose_x", true}});
  b.output(scores, "scores");
  const Value mask = b.reshape({{"x", c.mask(50, -65504)}, {"shape", Shape{50, 50}}});
  b.output(b.softmax({{"x", b.add({{"x", mask}, {"y", scores}})}, {"axis", 1}}), "probs");
  const std::string text = c.check();
  EXPECT_FALSE(has(text, "half of the result")) << text;
  EXPECT_TRUE(has(text, "causal softmax")) << text;
}

TEST(CpuFusion, OtherMasksAreAdded) {
  FusionCase c;
  Builder& b = c.b;
  const Value x = c.input("x", {3, 10, 10});
  const Value masked = b.add({{"x", x}, {"y", c.mask(10, -5)}});
  b.output(b.softmax({{"x", masked}, {"axis", -1}}), "y");
  const Value turned =
      b.softmax({{"x", b.add({{"x", x}, {"y", c.mask(10, -65504)}})}, {"axis", -2}});
  b.output(turned, "z");
  const std::string text = c.check();
  EXPECT_FALSE(has(text, "causal")) << text;
}

}  // namespace
}  // namespace anemone::test

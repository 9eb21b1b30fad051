// Elementwise programs over shapes, broadcasts, strides and types; the operations themselves are
// tested in tests/kernels.
#include "anemone/compute/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

#include "tests/compute/pools.h"
#include "tests/support/tensors.h"

namespace anemone::compute {
namespace {

using test::Buffer;
using Op = ElementwiseOp;

class ElementwisePrograms : public testing::Test {
 protected:
  const std::vector<std::unique_ptr<ThreadPool>> pools_ = make_pools();
  const std::vector<CpuFeatures> isas_ = test::runnable(kernels::elementwise_kernels());
};

struct ElementwiseLayout {
  const char* name;
  Shape shape;
  Strides a, b, out;
};

std::vector<ElementwiseLayout> elementwise_layouts() {
  const Shape channels{1, 37, 1, 90}, cube{5, 33, 129};
  const auto plain = [](const Shape& s) { return contiguous_strides(s); };
  return {
      {"scalar", {}, {}, {}, {}},
      {"one element", {1, 1}, plain({1, 1}), plain({1, 1}), plain({1, 1})},
      {"contiguous", {70, 1000}, plain({70, 1000}), plain({70, 1000}), plain({70, 1000})},
      {"b per channel", channels, plain(channels), {0, 1, 0, 0}, plain(channels)},
      {"b per position", channels, plain(channels), {0, 0, 0, 1}, plain(channels)},
      {"b a scalar", channels, plain(channels), {0, 0, 0, 0}, plain(channels)},
      {"rows with gaps", cube, test::padded_strides(cube, 7), test::padded_strides(cube, 1),
       test::padded_strides(cube, 2)},
      {"transposed in", cube, test::padded_strides(cube, 0, 0, 2), plain(cube), plain(cube)},
      {"transposed out", cube, plain(cube), test::padded_strides(cube, 3, 1, 2),
       test::padded_strides(cube, 5, 0, 1)},
      {"empty", {0, 4}, plain({0, 4}), plain({0, 4}), plain({0, 4})},
  };
}

TEST_F(ElementwisePrograms, FollowShapesAndStrides) {
  for (const ElementwiseLayout& layout : elementwise_layouts()) {
    for (const DType type : {DType::fp16, DType::fp32, DType::bf16}) {
      SCOPED_TRACE(std::string(layout.name) + " " + dtype_name(type));
      Buffer a(type, test::extent(layout.shape, layout.a), 1),
          b(DType::fp32, test::extent(layout.shape, layout.b));
      a.fill_random(1, -4, 4);
      b.fill_random(2, 0.5, 2);
      ElementwiseSpec spec{layout.shape,
                           {{type, layout.a}, {DType::fp32, layout.b}},
                           {{type, layout.out, 3}, {DType::fp32, layout.out, 2}},
                           {{Op::mul, 2, 0, 1}, {Op::add_imm, 3, 2, 0, 0, 0.25f}}};
      for (const CpuFeatures& features : isas_) {
        const ElementwisePlan plan = plan_elementwise(spec, features);
        std::unique_ptr<Buffer> first;
        for (const auto& pool : pools_) {
          Buffer y(type, test::extent(layout.shape, layout.out), 3), z(DType::fp32, y.size());
          const void* inputs[] = {a.data(), b.data()};
          void* outputs[] = {y.data(), z.data()};
          run(*pool, plan, inputs, outputs);
          if (first) {
            EXPECT_TRUE(first->same_bytes(y));
            continue;
          }
          EXPECT_TRUE(test::only_wrote(y, layout.shape, layout.out));
          EXPECT_TRUE(test::only_wrote(z, layout.shape, layout.out));
          for (std::int64_t i = 0; i < layout.shape.elements(); ++i) {
            const float product =
                static_cast<float>(a.get(test::offset_of(layout.shape, layout.a, i))) *
                static_cast<float>(b.get(test::offset_of(layout.shape, layout.b, i)));
            const std::int64_t at = test::offset_of(layout.shape, layout.out, i);
            ASSERT_EQ(z.get(at), product);
            ASSERT_EQ(y.get(at), round_to(type, product + 0.25f));
          }
          first = std::make_unique<Buffer>(std::move(y));
        }
      }
    }
  }
}

TEST_F(ElementwisePrograms, RunInPlace) {
  const Shape shape{3, 700};
  const Strides strides = contiguous_strides(shape);
  ElementwiseSpec spec{
      shape, {{DType::fp16, strides}}, {{DType::fp16, strides, 1}}, {{Op::silu, 1, 0}}};
  Buffer x(DType::fp16, 2100);
  x.fill_random(5);
  const Buffer before = x;
  const void* inputs[] = {x.data()};
  void* outputs[] = {x.data()};
  run(*pools_[1], plan_elementwise(spec), inputs, outputs);
  for (int i = 0; i < 2100; ++i) {
    const double v = before.get(i), exact = v / (1 + std::exp(-v));
    EXPECT_NEAR(x.get(i), exact, 1.01 * test::half_ulp(DType::fp16, exact));
  }
}

// Inputs that stay in memory, whose slots steps write over; one of them is an output as it is.
TEST_F(ElementwisePrograms, MayWriteOverTheSlotsOfInputs) {
  for (const std::int64_t count : {1008, 1009}) {  // whole vectors, and a rest
    const Shape shape{count};
    const Strides strides = contiguous_strides(shape);
    Buffer a(DType::fp16, count), b(DType::fp32, count), c(DType::fp16, count);
    a.fill_random(1), b.fill_random(2), c.fill_random(3);
    const Buffer a_before = a, b_before = b;
    // The outputs: c; a·b + b, where a was; a·b, where b was.
    const ElementwiseSpec spec{
        shape,
        {{DType::fp16, strides}, {DType::fp32, strides}, {DType::fp16, strides}},
        {{DType::fp32, strides, 2}, {DType::fp16, strides, 1}, {DType::fp32, strides, 0}},
        {{Op::mul, 0, 0, 1}, {Op::add, 1, 0, 1}}};
    for (const CpuFeatures& features : isas_) {
      a = a_before, b = b_before;
      Buffer kept(DType::fp32, count);
      const void* inputs[] = {a.data(), b.data(), c.data()};
      void* outputs[] = {kept.data(), a.data(), b.data()};
      run(*pools_[1], plan_elementwise(spec, features), inputs, outputs);
      for (std::int64_t i = 0; i < count; ++i) {
        const float x = static_cast<float>(a_before.get(i)),
                    y = static_cast<float>(b_before.get(i));
        ASSERT_EQ(kept.get(i), c.get(i));
        ASSERT_EQ(b.get(i), x * y);
        ASSERT_EQ(a.get(i), round_to(DType::fp16, x * y + y));
      }
    }
  }
}

TEST_F(ElementwisePrograms, ReplacePowersThatAreRoots) {
  const Shape shape{64};
  const Strides strides = contiguous_strides(shape);
  const auto step_for = [&](float power) {
    return plan_elementwise({shape,
                             {{DType::fp32, strides}},
                             {{DType::fp32, strides, 0}},
                             {{Op::pow_imm, 0, 0, 0, 0, power}}})
        .steps[0];
  };
  EXPECT_EQ(step_for(2).op, Op::square);
  EXPECT_EQ(step_for(0.5f).op, Op::sqrt);
  EXPECT_EQ(step_for(-0.5f).op, Op::rsqrt);
  EXPECT_EQ(step_for(-0.5f).immediate, 0);
  EXPECT_EQ(step_for(-1).op, Op::inverse);
  EXPECT_EQ(step_for(1).op, Op::copy);
  EXPECT_EQ(step_for(3).op, Op::pow_imm);
}

TEST_F(ElementwisePrograms, ReadAndWriteIntegersAndTruth) {
  const Shape shape{40};
  const Strides strides = contiguous_strides(shape);
  Buffer condition(DType::boolean, 40), yes(DType::int32, 40), out(DType::int32, 40),
      truth(DType::boolean, 40);
  for (int i = 0; i < 40; ++i) condition.set(i, i % 3 == 0);
  for (int i = 0; i < 40; ++i) yes.set(i, i - 1000000);
  ElementwiseSpec spec{shape,
                       {{DType::boolean, strides}, {DType::int32, strides}},
                       {{DType::int32, strides, 3}, {DType::boolean, strides, 0}},
                       {{Op::fill, 2, 0, 0, 0, 7.9f}, {Op::select, 3, 0, 1, 2}}};
  const void* inputs[] = {condition.data(), yes.data()};
  void* outputs[] = {out.data(), truth.data()};
  run(*pools_[0], plan_elementwise(spec), inputs, outputs);
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(out.get(i), i % 3 == 0 ? i - 1000000 : 7);
    EXPECT_EQ(truth.get(i), i % 3 == 0);
  }
}

TEST(ElementwiseProgramsDeathTest, RefuseASlotNobodyWrote) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(plan_elementwise({{4}, {}, {}, {{Op::copy, 1, 0}}}), "nobody wrote");
}

}  // namespace
}  // namespace anemone::compute

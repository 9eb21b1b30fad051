// Attention against double, element by element, within bounds that follow from the roundings: every
// kernel the machine has, sizes around tiles and vectors, layouts, types, shared keys, several
// numbers of threads.
#include "anemone/compute/attention.h"

#include <gtest/gtest.h>

#include "tests/compute/attention_case.h"

namespace anemone::compute {
namespace {

void check_forward(const Case& c, const CpuFeatures& features) {
  Tensor q(c, c.queries, c.head_dim, false, 1), k(c, c.keys, c.head_dim, true, 2),
      v(c, c.keys, c.value_dim, true, 3), out(c, c.queries, c.value_dim, false, 0),
      again(c, c.queries, c.value_dim, false, 0);
  const AttentionPlan plan = plan_attention(spec_of(c, q, k, v, out), features);
  expect_row(c, plan);
  AttentionArgs args;
  args.q = q.buffer().data();
  args.k = k.buffer().data();
  args.v = v.buffer().data();
  args.out = out.buffer().data();
  run_plan(plan, 1, args);
  EXPECT_TRUE(out.only_wrote()) << c.name;
  args.out = again.buffer().data();
  for (const int threads : {2, 3}) {
    run_plan(plan, threads, args);
    EXPECT_TRUE(out.buffer().same_bytes(again.buffer())) << c.name << ", " << threads;
  }
  const Exact exact(c, q, k, v);
  for (std::int64_t item = 0; item < c.batch.elements(); ++item) {
    const Matrix p = exact.probabilities(item);
    for (std::int64_t i = 0; i < c.queries; ++i) {
      for (std::int64_t f = 0; f < c.value_dim; ++f)
        expect_near(out(item, i, f), exact.out(p, item, i, f), c.type, place(c, item, i, f));
    }
  }
}

class Attention : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(, Attention, testing::Range(0, kernels::gemm_kernels().count));

TEST_P(Attention, AgreesWithDouble) {
  std::vector<Case> all = cases();
  all.push_back(long_case(true));
  all.push_back(bf16_case());
  for (const Case& c : all) {
    if (!check_on_row(GetParam(), check_forward, c)) GTEST_SKIP() << "not on this machine";
  }
}

// What is behind the diagonal is not looked at: numbers there may be anything.
TEST_P(Attention, HiddenKeysDoNotMatter) {
  const kernels::GemmKernel& row = kernels::gemm_kernels().rows[GetParam()];
  if (!test::amx_features().has(row.isa)) GTEST_SKIP() << "no " << row.name << " here";
  Case c;
  c.batch = {1};
  c.queries = c.keys = 70;
  c.head_dim = c.value_dim = 8;
  c.causal = true;
  Tensor q(c, 70, 8, false, 1), k(c, 70, 8, true, 2), v(c, 70, 8, true, 3), out(c, 70, 8, false, 0),
      changed(c, 70, 8, false, 0);
  const AttentionPlan plan =
      plan_attention(spec_of(c, q, k, v, out), test::amx_features().capped(row.isa));
  AttentionArgs args;
  args.q = q.buffer().data();
  args.k = k.buffer().data();
  args.v = v.buffer().data();
  args.out = out.buffer().data();
  run_plan(plan, 1, args);
  const std::int64_t from = 41;
  for (std::int64_t key = from; key < 70; ++key) {
    for (std::int64_t f = 0; f < 8; ++f) {
      k.buffer().set(key * k.described().position_stride + f * k.described().feature_stride, 1e30);
      v.buffer().set(key * v.described().position_stride + f * v.described().feature_stride, -1e30);
    }
  }
  args.out = changed.buffer().data();
  run_plan(plan, 1, args);
  for (std::int64_t i = 0; i < from; ++i) {
    for (std::int64_t f = 0; f < 8; ++f) ASSERT_EQ(out(0, i, f), changed(0, i, f)) << i;
  }
}

// Twice the length, twice the memory.
TEST(AttentionPlan, WorkspaceGrowsLinearly) {
  const auto bytes = [](std::int64_t length, bool backward) {
    AttentionBackwardSpec spec;
    spec.forward.batch = {12};
    spec.forward.queries = spec.forward.keys = length;
    spec.forward.head_dim = spec.forward.value_dim = 64;
    spec.forward.causal = true;
    return static_cast<double>(
        (backward ? plan_attention_backward(spec) : plan_attention(spec.forward))
            .workspace_bytes(2));
  };
  for (const bool backward : {false, true}) {
    EXPECT_LT(bytes(8192, backward), 2.1 * bytes(4096, backward));
    EXPECT_LT(bytes(4096, backward),
              12.0 * 4096 * 4096);  // a byte an element of the S x S matrices
  }
}

}  // namespace
}  // namespace anemone::compute

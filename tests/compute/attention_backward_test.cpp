// The derivatives of attention against double, as attention_test.cpp tests attention.
#include <gtest/gtest.h>

#include "anemone/compute/attention.h"
#include "tests/compute/attention_case.h"

namespace anemone::compute {
namespace {

class Backward {
 public:
  explicit Backward(const Case& c)
      : c_(c),
        q_(c, c.queries, c.head_dim, false, 1),
        k_(c, c.keys, c.head_dim, true, 2),
        v_(c, c.keys, c.value_dim, true, 3),
        dout_(c, c.queries, c.value_dim, false, 4) {}

  struct Results {
    Tensor dq, dk, dv;
  };
  Results fresh() const {
    return {Tensor(c_, c_.queries, c_.head_dim, false, 0),
            Tensor(c_, c_.keys, c_.head_dim, true, 0), Tensor(c_, c_.keys, c_.value_dim, true, 0)};
  }

  void check(const CpuFeatures& features) {
    Results results = fresh();
    AttentionBackwardSpec spec;
    spec.forward = spec_of(c_, q_, k_, v_, dout_);
    spec.dq_scale = kDqScale;
    spec.dk_scale = kDkScale;
    spec.dv_scale = kDvScale;
    spec.dq = results.dq.described();
    spec.dk = results.dk.described();
    spec.dv = results.dv.described();
    const AttentionPlan plan = plan_attention_backward(spec, features);
    expect_row(c_, plan);
    run_on(plan, 1, results);
    for (const Tensor* tensor : {&results.dq, &results.dk, &results.dv})
      EXPECT_TRUE(tensor->only_wrote()) << c_.name;
    for (const int threads : {2, 3}) {
      Results again = fresh();
      run_on(plan, threads, again);
      EXPECT_TRUE(again.dq.buffer().same_bytes(results.dq.buffer())) << c_.name;
      EXPECT_TRUE(again.dk.buffer().same_bytes(results.dk.buffer())) << c_.name;
      EXPECT_TRUE(again.dv.buffer().same_bytes(results.dv.buffer())) << c_.name;
    }
    compare(results);
  }

 private:
  static constexpr float kDqScale = 0.7f, kDkScale = 1.3f, kDvScale = 0.9f;

  void run_on(const AttentionPlan& plan, int threads, Results& results) {
    AttentionArgs args;
    args.q = q_.buffer().data();
    args.k = k_.buffer().data();
    args.v = v_.buffer().data();
    args.dout = dout_.buffer().data();
    args.dq = results.dq.buffer().data();
    args.dk = results.dk.buffer().data();
    args.dv = results.dv.buffer().data();
    run_plan(plan, threads, args);
  }

  // Of the items that share keys: sums.
  void compare(const Results& results) const {
    const Exact exact(c_, q_, k_, v_);
    const std::int64_t items = c_.batch.elements();
    std::vector<Matrix> p, ds;
    for (std::int64_t item = 0; item < items; ++item) {
      p.push_back(exact.probabilities(item));
      ds.push_back(exact.score_gradients(p.back(), dout_, item));
    }
    for (std::int64_t item = 0; item < items; ++item) {
      const Matrix& mine = ds[static_cast<std::size_t>(item)];
      for (std::int64_t i = 0; i < c_.queries; ++i) {
        for (std::int64_t f = 0; f < c_.head_dim; ++f) {
          const Bounded dq =
              scaled(exact.dot(
                         exact.visible(i),
                         [&](std::int64_t j) {
                           return mine[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)];
                         },
                         [&](std::int64_t j) {
                           return Bounded{k_(item, j, f), 0};
                         }),
                     kDqScale);
          expect_near(results.dq(item, i, f), dq, c_.type, "dq " + place(c_, item, i, f));
        }
      }
      const std::vector<std::int64_t> sharers = sharing(item);
      for (std::int64_t j = 0; j < c_.keys; ++j) {
        for (std::int64_t f = 0; f < c_.head_dim; ++f) {
          const Bounded dk = scaled(sum_over(exact, sharers, ds, q_, j, f), kDkScale);
          expect_near(results.dk(item, j, f), dk, c_.type, "dk " + place(c_, item, j, f));
        }
        for (std::int64_t f = 0; f < c_.value_dim; ++f) {
          const Bounded dv = scaled(sum_over(exact, sharers, p, dout_, j, f), kDvScale);
          expect_near(results.dv(item, j, f), dv, c_.type, "dv " + place(c_, item, j, f));
        }
      }
    }
  }

  static Bounded scaled(Bounded x, float factor) {
    const double by = static_cast<double>(factor);
    return {x.value * by, x.error * by + kEps * std::abs(x.value * by)};
  }

  // Items with the same keys as `item`.
  std::vector<std::int64_t> sharing(std::int64_t item) const {
    const std::int64_t mine = test::offset_of(c_.batch, k_.described().batch, item);
    std::vector<std::int64_t> all;
    for (std::int64_t i = 0; i < c_.batch.elements(); ++i) {
      if (test::offset_of(c_.batch, k_.described().batch, i) == mine) all.push_back(i);
    }
    return all;
  }

  Bounded sum_over(const Exact& exact, const std::vector<std::int64_t>& items,
                   const std::vector<Matrix>& left, const Tensor& right, std::int64_t key,
                   std::int64_t feature) const {
    const auto member = [&](std::int64_t n) {
      return items[static_cast<std::size_t>(n / c_.queries)];
    };
    return exact.dot(
        c_.queries * static_cast<std::int64_t>(items.size()),
        [&](std::int64_t n) {
          return left[static_cast<std::size_t>(member(n))][static_cast<std::size_t>(n % c_.queries)]
                     [static_cast<std::size_t>(key)];
        },
        [&](std::int64_t n) {
          return Bounded{right(member(n), n % c_.queries, feature), 0};
        });
  }

  Case c_;
  Tensor q_, k_, v_, dout_;
};

void check_backward(const Case& c, const CpuFeatures& features) { Backward(c).check(features); }

class AttentionBackward : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(, AttentionBackward, testing::Range(0, kernels::gemm_kernels().count));

TEST_P(AttentionBackward, AgreesWithDouble) {
  std::vector<Case> all = cases();
  all.push_back(bf16_case());
  for (const Case& c : all) {
    if (!check_on_row(GetParam(), check_backward, c)) GTEST_SKIP() << "not on this machine";
  }
}

TEST_P(AttentionBackward, AddsUpChunksOfALongSequence) {
  for (const bool causal : {true, false}) {
    if (!causal && test::amx_is_emulated()) continue;  // seconds
    if (!check_on_row(GetParam(), check_backward, long_case(causal)))
      GTEST_SKIP() << "not on this machine";
  }
}

}  // namespace
}  // namespace anemone::compute

// Evaluation of whole functions: rounding, weights, perturbations, and what is refused.
#include "anemone/mil/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/mil/builder.h"

namespace anemone::mil {
namespace {

using Complex = std::complex<double>;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Evaluate, RoundsEveryValueToItsType) {
  Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp16, {2}));
  const Value wide = b.mul({{"x", x}, {"y", 3.0}}, "wide");
  b.output(b.sub({{"x", wide}, {"y", x}}), "y");
  ConstantSource constants;
  const TensorMap<double> inputs{{"x", {0.1, 60000}}};
  const auto rounded = evaluate<double>(program.main(), inputs, constants).at("y");
  const double tenth = round_to(DType::fp16, 0.1);
  EXPECT_EQ(rounded[0], round_to(DType::fp16, round_to(DType::fp16, 3 * tenth) - tenth));
  EXPECT_EQ(rounded[1], INFINITY);
  const auto exact = evaluate<double>(program.main(), inputs, constants, {.round = false}).at("y");
  EXPECT_EQ(exact[0], 0.1 * 3 - 0.1);
  EXPECT_EQ(exact[1], 120000);
}

// Knows whole numbers only, and takes one off each product of matrices.
class WholeNumbers final : public Arithmetic, public ProductRule {
 public:
  std::string name() const override { return "whole"; }
  std::string describe() const override { return "in whole numbers"; }
  void take(const Type&, std::span<double> values) const override {
    for (double& value : values) value = std::trunc(value);
  }
  void apply(const EvalContext<double>& context) const override {
    EvalContext<double> by_rule = context;
    by_rule.products = this;
    context.op.def().eval_real(by_rule);
    for (double& value : context.output().data) value = std::trunc(value);
  }
  void add_product(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, const double* b,
                   double* c) const override {
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        for (std::int64_t p = 0; p < k; ++p) c[i * n + j] += a[i * k + p] * b[p * n + j];
        --c[i * n + j];
      }
    }
  }
};

TEST(Evaluate, AnotherArithmeticIsAskedAtEveryValue) {
  Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp32, {1, 1, 1, 3}));
  const Value third = b.real_div({{"x", x}, {"y", 2.9}}, "third");
  const Value weight =
      b.constant(Constant::numbers(DType::fp32, {1, 1, 1, 2}, std::vector<double>{1.5, 2.5}), "w");
  b.output(third, "third");
  b.output(b.conv({{"x", x}, {"weight", weight}}), "seen");
  b.output(b.matmul({{"x", x}, {"y", x}, {"transpose_y", true}}), "square");
  ConstantSource constants;
  const WholeNumbers whole;
  const auto out =
      evaluate<double>(program.main(), {{"x", {7.5, 8.5, 9.5}}}, constants, {.arithmetic = &whole});
  EXPECT_EQ(out.at("third"), (std::vector<double>{3, 4, 4}));  // 7 / 2
  EXPECT_EQ(out.at("seen"), (std::vector<double>{7 + 2 * 8 - 1, 8 + 2 * 9 - 1}));
  EXPECT_EQ(out.at("square"), (std::vector<double>{49 + 64 + 81 - 1}));
}

TEST(Evaluate, NamesWhatIsWrongWithItsInputs) {
  Program program;
  Builder b(program);
  b.output(b.exp({{"x", b.input("x", Type::tensor(DType::fp32, {3}))}}), "y");
  ConstantSource constants;
  EXPECT_EQ(message_of([&] { evaluate<double>(program.main(), {}, constants); }),
            "main: input x is missing");
  EXPECT_EQ(message_of([&] {
              evaluate<double>(program.main(), {{"x", {1, 2}}}, constants);
            }),
            "main: input x has 2 elements (expected tensor<fp32, [3]>: 3)");
}

TEST(Evaluate, RefusesProgramsThatWouldNotFit) {
  Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp32, {1 << 16, 1}));
  const Value y = b.input("y", Type::tensor(DType::fp32, {1, 1 << 16}));
  b.output(b.add({{"x", x}, {"y", y}}), "z");
  EXPECT_EQ(
      message_of([&] { check_evaluable(program.main()); }),
      "z is tensor<fp32, [65536, 65536]> (expected a fixed shape of at most 268435456 elements)");
}

TEST(Evaluate, RefusesProgramsThatDoNotVerify) {
  Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp32, {2, 3}));
  const Value y = b.exp({{"x", x}}, "y");
  b.output(y, "y");
  Function wrong_type = program.main();
  wrong_type.info(y).type.shape = {3, 2};
  EXPECT_EQ(message_of([&] { check_evaluable(wrong_type); }),
            "exp: y is declared as tensor<fp32, [3, 2]> (expected tensor<fp32, [2, 3]>)");
  Function own_argument = program.main();
  own_argument.ops[0].arguments[0][0] = y;
  EXPECT_EQ(message_of([&] { check_evaluable(own_argument); }),
            "main: exp: an argument that is not defined before it is used");
  Function no_value = program.main();
  no_value.ops[0].arguments[0][0] = Value{};
  EXPECT_NE(message_of([&] { check_evaluable(no_value); }), "no error");
}

// y = W x and z = Wᵀ x with W in the store.
class EvaluateWeights : public ::testing::Test {
 protected:
  EvaluateWeights() {
    Builder b(program_);
    const Value x = b.input("x", Type::tensor(DType::fp32, {1, 2, 1, 1}));
    const Type type = Type::tensor(DType::fp32, {2, 2, 1, 1});
    b.output(b.conv({{"x", x}, {"weight", b.weight({"w"}, type)}}), "y");
    b.output(b.conv({{"x", x}, {"weight", b.weight({"w", true}, type)}}), "z");
    store_.add("w", {2, 2}, values_);
  }

  const std::vector<float> values_{1, 2, 3, 4};
  WeightStore store_;
  Program program_;
};

TEST_F(EvaluateWeights, AreReadFromTheStore) {
  ConstantSource constants(&store_);
  const auto out = evaluate<double>(program_.main(), {{"x", {10, 1}}}, constants);
  EXPECT_EQ(out.at("y"), (std::vector<double>{12, 34}));
  EXPECT_EQ(out.at("z"), (std::vector<double>{13, 24}));
}

TEST_F(EvaluateWeights, CanBePerturbed) {
  ConstantSource constants(&store_);
  const double h = 1e-50;
  const TensorMap<Complex> weights{{"w", {1, Complex(2, h), 3, 4}}};
  const auto out = evaluate_perturbed(program_.main(), {{"x", {10, 1}}}, constants, weights);
  EXPECT_EQ(out.at("y"), (std::vector<Complex>{{12, h}, 34}));
  EXPECT_EQ(out.at("z"), (std::vector<Complex>{13, {24, 10 * h}}));
  EXPECT_EQ(message_of([&] {
              evaluate_perturbed(program_.main(), {{"x", {10, 1}}}, constants, {{"w", {1, 2}}});
            }),
            "weight w has 2 elements (expected [2, 2, 1, 1]: 4)");
}

// An operation with fp16 products must hold up at the size of a default layer: three S x S tensors
// of all heads alive would be 75 MB, and they are freed after their last use.
TEST(Evaluate, FreesValuesAfterTheirLastUse) {
  Program program;
  Builder b(program);
  Value x = b.input("x", Type::tensor(DType::fp32, {1 << 20}));
  for (int i = 0; i < 200; ++i) x = b.mul({{"x", x}, {"y", 1.0}});
  b.output(x, "y");
  ConstantSource constants;  // 200 values of 8 MB would be 1.6 GB
  const auto out =
      evaluate<double>(program.main(), {{"x", std::vector<double>(1 << 20, 2.5)}}, constants);
  EXPECT_EQ(out.at("y").back(), 2.5);
}

}  // namespace
}  // namespace anemone::mil

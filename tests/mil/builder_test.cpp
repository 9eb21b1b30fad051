// The builder: names, constants for plain values, ports.
#include "anemone/mil/builder.h"

#include <gtest/gtest.h>

#include "anemone/base/error.h"
#include "anemone/mil/op_def.h"
#include "anemone/mil/verifier.h"
#include "anemone/mil/weight_store.h"

namespace anemone::mil {
namespace {

class BuilderTest : public ::testing::Test {
 protected:
  const Constant& argument(Value result, std::size_t param) const {
    const Operation* op = builder_.function().definition(result);
    return *builder_.function().constant(op->arguments[param].front());
  }

  Program program_;
  Builder builder_{program_};
};

TEST_F(BuilderTest, MakesNamesUniqueAndValid) {
  const Value x = builder_.input("x", Type::tensor(DType::fp16, {2}));
  const Function& f = builder_.function();
  EXPECT_EQ(f.name_of(builder_.exp({{"x", x}})), "exp");
  EXPECT_EQ(f.name_of(builder_.exp({{"x", x}})), "exp_0");
  EXPECT_EQ(f.name_of(builder_.exp({{"x", x}})), "exp_1");
  EXPECT_EQ(f.name_of(builder_.exp({{"x", x}}, "l0.wq/2")), "l0_wq_2");
  EXPECT_EQ(f.name_of(builder_.exp({{"x", x}}, "2nd")), "_2nd");
  EXPECT_EQ(f.name_of(builder_.exp({{"x", x}}, "exp_1")), "exp_1_0");
  EXPECT_THROW(builder_.input("x", Type::tensor(DType::fp16)), Error);
  EXPECT_THROW(builder_.input("a b", Type::tensor(DType::fp16)), Error);
}

TEST_F(BuilderTest, TurnsPlainValuesIntoConstantsOfTheRightType) {
  const Value x = builder_.input("x", Type::tensor(DType::fp16, {2, 3}));
  const Value n = builder_.input("n", Type::tensor(DType::int32, {2, 3}));
  EXPECT_EQ(argument(builder_.mul({{"x", x}, {"y", 0.1}}), 1), Constant::scalar(DType::fp16, 0.1));
  EXPECT_EQ(argument(builder_.add({{"x", n}, {"y", 3}}), 1), Constant::scalar(DType::int32, 3));
  EXPECT_EQ(argument(builder_.rsqrt({{"x", x}, {"epsilon", 1e-3}}), 1),
            Constant::scalar(DType::fp16, 1e-3));
  EXPECT_EQ(argument(builder_.softmax({{"x", x}, {"axis", -1}}), 1),
            Constant::scalar(DType::int32, -1));
  EXPECT_EQ(argument(builder_.reshape({{"x", x}, {"shape", Shape{3, 2}}}), 1),
            Constant::int32s(std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(argument(builder_.cast({{"x", x}, {"dtype", "fp32"}}), 1), Constant::string("fp32"));
  const Value sum = builder_.reduce_sum({{"x", x}, {"keep_dims", true}});
  EXPECT_EQ(argument(sum, 2), Constant::boolean(true));
}

TEST_F(BuilderTest, NamesOutputs) {
  const Value x = builder_.input("x", Type::tensor(DType::fp16, {2}));
  const Value wanted = builder_.exp({{"x", x}}, "y");
  const Value y = builder_.tanh({{"x", wanted}});
  builder_.output(y, "y");  // takes the name from `wanted`
  builder_.output(y, "z");  // a copy
  builder_.output(x, "w");  // a copy
  const Function& f = builder_.function();
  ASSERT_EQ(f.outputs.size(), 3u);
  EXPECT_EQ(f.name_of(f.outputs[0]), "y");
  EXPECT_EQ(f.outputs[0], y);
  EXPECT_EQ(f.name_of(wanted), "y_0");
  EXPECT_EQ(f.definition(f.outputs[1])->kind, OpKind::identity);
  EXPECT_EQ(f.definition(f.outputs[2])->kind, OpKind::identity);
  EXPECT_THROW(builder_.output(wanted, "y"), Error);
  EXPECT_THROW(builder_.output(wanted, "x"), Error);
  verify_or_throw(program_, "test");
}

TEST_F(BuilderTest, HasSeveralResults) {
  const Value x = builder_.input("x", Type::tensor(DType::fp16, {4, 6}));
  const auto parts =
      builder_.emit_all(OpKind::split, {{"x", x}, {"axis", 1}, {"num_splits", 3}}, "part");
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(builder_.function().name_of(parts[2]), "part_2");
  EXPECT_EQ(builder_.shape(parts[2]), (Shape{4, 2}));
  EXPECT_THROW(builder_.split({{"x", x}, {"axis", 1}, {"num_splits", 3}}), Error);
}

TEST_F(BuilderTest, FunctionsAreApart) {
  Builder second(program_, "second");
  builder_.input("x", Type::tensor(DType::fp16));
  second.input("x", Type::tensor(DType::fp32));
  EXPECT_EQ(program_.functions.size(), 2u);
  EXPECT_EQ(program_.find("second")->inputs.size(), 1u);
  EXPECT_THROW(Builder(program_, "second"), Error);
}

TEST(Types, AreSpelledAsInTheText) {
  EXPECT_EQ(Type::tensor(DType::fp16, {1, 2}).to_string(), "tensor<fp16, [1, 2]>");
  EXPECT_EQ(Type::tensor(DType::boolean).to_string(), "bool");
  Type list;
  list.kind = Type::Kind::list;
  list.length = 3;
  list.elements = {Type::tensor(DType::string)};
  EXPECT_EQ(list.to_string(), "list<string, 3>");
  EXPECT_EQ((TypeSet{DType::fp16}).to_string(), "fp16");
}

TEST(Constants, ATriangleMakesItsBytesWhenAsked) {
  const Constant triangle = Constant::upper_triangle(DType::fp16, {2, 2, 3}, -5);
  const Constant copy = triangle;
  const std::vector<double> values = {0, -5, -5, 0, 0, -5, 0, -5, -5, 0, 0, -5};
  EXPECT_EQ(triangle, Constant::upper_triangle(DType::fp16, {2, 2, 3}, -5));
  EXPECT_FALSE(triangle == Constant::upper_triangle(DType::fp16, {2, 2, 3}, -6));
  EXPECT_FALSE(triangle == Constant::upper_triangle(DType::fp32, {2, 2, 3}, -5));
  EXPECT_FALSE(triangle.is_in_memory());
  EXPECT_EQ(triangle.triangle(), -5);
  EXPECT_EQ(triangle, Constant::numbers(DType::fp16, {2, 2, 3}, values));
  EXPECT_EQ(Constant::numbers(DType::fp16, {2, 2, 3}, values), triangle);
  EXPECT_TRUE(copy.is_in_memory());
  EXPECT_EQ(copy.all_numbers(), values);
  EXPECT_EQ(copy.number(1), -5);
  EXPECT_FALSE(Constant::scalar(DType::fp16, 1).triangle().has_value());
}

TEST(Constants, CompareByBits) {
  EXPECT_EQ(Constant::scalar(DType::fp16, 0.1), Constant::scalar(DType::fp16, 0.09998));
  EXPECT_FALSE(Constant::scalar(DType::fp32, 0.0) == Constant::scalar(DType::fp32, -0.0));
  EXPECT_FALSE(Constant::scalar(DType::fp32, 1) == Constant::scalar(DType::fp16, 1));
  const Type type = Type::tensor(DType::fp32, {2});
  EXPECT_EQ(Constant(type, WeightRef{"w"}), Constant(type, WeightRef{"w"}));
  EXPECT_FALSE(Constant(type, WeightRef{"w"}) == Constant(type, WeightRef{"w", true}));
  EXPECT_FALSE(Constant(type, WeightRef{"w"}) == Constant(type, BlobRef{"w"}));
}

TEST(WeightStore, SaysWhatIsThere) {
  const std::vector<float> values(6);
  WeightStore store;
  store.add("b", {2, 3}, values);
  store.add("a", {6}, values);
  EXPECT_EQ(store.get("a").shape, (Shape{6}));
  EXPECT_EQ(store.find("c"), nullptr);
  try {
    store.get("c");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "there is no weight called c (expected one of a, b)");
  }
  EXPECT_THROW(store.add("a", {6}, values), Error);
  EXPECT_THROW(store.add("d", {5}, values), Error);
}

}  // namespace
}  // namespace anemone::mil

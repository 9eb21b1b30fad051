// What inference refuses, and what it says: one line per mistake.
#include <gtest/gtest.h>

#include "anemone/base/error.h"
#include "anemone/mil/builder.h"
#include "anemone/mil/op_def.h"

namespace anemone::mil {
namespace {

using Ints = std::vector<std::int64_t>;

class OpInference : public ::testing::Test {
 protected:
  Value in(const Shape& shape, DType dtype = DType::fp16) {
    return builder_.input("in_" + std::to_string(inputs_++), Type::tensor(dtype, shape));
  }

  void expect_error(OpKind kind, std::vector<Builder::Argument> arguments, const char* message) {
    try {
      builder_.emit_all(kind, arguments);
      ADD_FAILURE() << "no error, expected: " << message;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()), message);
    }
  }

  Program program_;
  Builder builder_{program_};
  int inputs_ = 0;
};

TEST_F(OpInference, CommonChecks) {
  const Value x = in({2, 3});
  expect_error(OpKind::softmax, {}, "softmax: x is missing");
  expect_error(OpKind::softmax, {{"y", x}}, "softmax: no parameter is called y");
  expect_error(OpKind::softmax, {{"x", x}, {"x", x}}, "softmax: x is given twice");
  expect_error(OpKind::softmax, {{"x", in({2}, DType::int32)}},
               "softmax: x is tensor<int32, [2]> (expected fp16 or fp32)");
  expect_error(OpKind::softmax, {{"x", x}, {"axis", in({}, DType::int32)}},
               "softmax: axis must be a constant");
  expect_error(OpKind::softmax, {{"x", x}, {"axis", Ints{0, 1}}},
               "softmax: axis must be one value, not a tensor<int32, [2]>");
  expect_error(OpKind::softmax, {{"x", std::vector<Value>{x, x}}},
               "softmax: x takes one value, not 2");
  expect_error(OpKind::softmax, {{"x", in({-1, 4})}},
               "softmax: x has an unknown dimension ([?, 4]); only fixed shapes can be used");
  expect_error(OpKind::softmax, {{"x", in({1 << 30, 1 << 30, 1 << 30})}},
               "softmax: x is too large: [1073741824, 1073741824, 1073741824]");
  expect_error(OpKind::softmax, {{"x", x}, {"axis", 2}},
               "softmax: axis 2 is out of range for a tensor of rank 2 (allowed: -2..1)");
  expect_error(OpKind::add, {{"x", in({1 << 20, 1})}, {"y", in({1, 1 << 30})}},
               "add: the result is too large: [1048576, 1073741824]");
}

TEST_F(OpInference, Elementwise) {
  const Value x = in({2, 3});
  expect_error(
      OpKind::add, {{"x", x}, {"y", in({2, 4})}},
      "add: shapes [2, 3] and [2, 4] do not go together (expected dimensions that are equal or 1, "
      "aligned at the last one)");
  expect_error(OpKind::mul, {{"x", x}, {"y", in({2, 3}, DType::fp32)}},
               "mul: x is fp16 but y is fp32 (expected one element type)");
  expect_error(OpKind::select, {{"cond", x}, {"a", x}, {"b", x}},
               "select: cond is tensor<fp16, [2, 3]> (expected bool)");
  expect_error(
      OpKind::cast, {{"x", x}, {"dtype", "fp64"}},
      "cast: dtype \"fp64\" (expected bool, fp16, fp32, int8, int16, int32, uint8 or uint16)");
}

TEST_F(OpInference, Matmul) {
  expect_error(OpKind::matmul, {{"x", in({2, 3})}, {"y", in({2, 3})}},
               "matmul: x [2, 3] and y [2, 3] do not fit: 3 columns against 2 rows");
  expect_error(OpKind::matmul, {{"x", in({})}, {"y", in({2, 3})}},
               "matmul: x is a scalar (expected a matrix or vector)");
  expect_error(OpKind::matmul, {{"x", in({3})}, {"y", in({3, 3})}, {"transpose_x", true}},
               "matmul: x is a vector, which has no transpose");
  expect_error(
      OpKind::matmul, {{"x", in({2, 3, 4})}, {"y", in({3, 4, 3})}},
      "matmul: shapes [2] and [3] do not go together (expected dimensions that are equal or 1, "
      "aligned at the last one)");
}

TEST_F(OpInference, Conv) {
  const Value x = in({1, 4, 5, 5}), w = in({6, 4, 3, 3});
  expect_error(
      OpKind::conv, {{"x", in({4, 5})}, {"weight", w}},
      "conv: x is tensor<fp16, [4, 5]> (expected rank 3, 4 or 5: [N, C, spatial dimensions])");
  expect_error(OpKind::conv, {{"x", x}, {"weight", in({6, 4, 3})}},
               "conv: weight [6, 4, 3] has rank 3 but x has rank 4");
  expect_error(OpKind::conv, {{"x", x}, {"weight", w}, {"groups", 3}},
               "conv: 3 groups do not divide 4 channels in and 6 out");
  expect_error(OpKind::conv, {{"x", x}, {"weight", w}, {"groups", 2}},
               "conv: weight [6, 4, 3, 3] takes 4 channels of each group, but x [1, 4, 5, 5] in 2 "
               "groups has 2");
  expect_error(OpKind::conv, {{"x", x}, {"weight", w}, {"strides", Ints{1}}},
               "conv: strides has 1 values where 2 are needed");
  expect_error(OpKind::conv, {{"x", x}, {"weight", w}, {"strides", Ints{1, 0}}},
               "conv: a stride of 0 (expected 1 or more)");
  expect_error(OpKind::conv, {{"x", x}, {"weight", w}, {"pad_type", "full"}},
               "conv: pad_type \"full\" (expected valid, same, same_lower or custom)");
  expect_error(OpKind::conv,
               {{"x", x}, {"weight", w}, {"pad_type", "custom"}, {"pad", Ints{0, 0, -1, 0}}},
               "conv: a pad of -1 (expected 0 or more)");
  expect_error(OpKind::conv, {{"x", x}, {"weight", w}, {"dilations", Ints{3, 1}}},
               "conv: the kernel reaches over 7 elements of spatial dimension 0, which has 5");
  expect_error(OpKind::conv, {{"x", x}, {"weight", w}, {"bias", in({5})}},
               "conv: bias is tensor<fp16, [5]> (expected [6])");
}

TEST_F(OpInference, Shapes) {
  const Value x = in({2, 3, 4});
  expect_error(OpKind::reshape, {{"x", x}, {"shape", Ints{5, 5}}},
               "reshape: [2, 3, 4] has 24 elements and cannot become [5, 5]");
  expect_error(OpKind::reshape, {{"x", x}, {"shape", Ints{5, -1}}},
               "reshape: [2, 3, 4] has 24 elements and cannot become [5, ?]");
  expect_error(OpKind::reshape, {{"x", x}, {"shape", Ints{-1, -1}}},
               "reshape: shape has more than one -1");
  expect_error(OpKind::reshape, {{"x", x}, {"shape", Ints{0, 12}}},
               "reshape: shape has a 0 but 2 dimensions where x has 3");
  expect_error(OpKind::reshape, {{"x", x}, {"shape", Ints{-2, 12}}},
               "reshape: shape has a dimension of -2");
  expect_error(OpKind::reshape, {{"x", x}, {"shape", Ints(9, 1)}},
               "reshape: a tensor of rank above 8 (expected at most 8 dimensions)");
  expect_error(OpKind::transpose, {{"x", x}, {"perm", Ints{0, 1}}},
               "transpose: perm has 2 values where x has 3 dimensions");
  expect_error(OpKind::transpose, {{"x", x}, {"perm", Ints{0, 1, -2}}},
               "transpose: axis -2 is given twice");
  expect_error(OpKind::expand_dims, {{"x", x}, {"axes", Ints{4}}},
               "expand_dims: axis 4 is out of range for a tensor of rank 4 (allowed: -4..3)");
  expect_error(OpKind::squeeze, {{"x", x}, {"axes", Ints{3}}},
               "squeeze: axis 3 is out of range for a tensor of rank 3 (allowed: -3..2)");
  expect_error(OpKind::reduce_sum, {{"x", x}, {"axes", Ints{1, -2}}},
               "reduce_sum: axis -2 is given twice");
}

TEST_F(OpInference, Parts) {
  const Value x = in({4, 6});
  expect_error(OpKind::slice_by_size, {{"x", x}, {"begin", Ints{0}}, {"size", Ints{1, 1}}},
               "slice_by_size: begin is tensor<int32, [1]> (expected int32 [2])");
  expect_error(OpKind::slice_by_size, {{"x", x}, {"begin", Ints{2, 0}}, {"size", Ints{3, 1}}},
               "slice_by_size: elements 2..5 of axis 0, which has 4");
  expect_error(OpKind::slice_by_size,
               {{"x", x}, {"begin", in({2}, DType::int32)}, {"size", Ints{-1, 1}}},
               "slice_by_size: a size of -1 needs a constant begin");
  expect_error(OpKind::slice_by_index,
               {{"x", x}, {"begin", Ints{0, 0}}, {"end", Ints{4, 6}}, {"stride", Ints{1, 0}}},
               "slice_by_index: a stride of 0");
  expect_error(
      OpKind::slice_by_index,
      {{"x", x},
       {"begin", Ints{4, 0}},
       {"end", Ints{4, 6}},
       {"squeeze_mask", Constant::numbers(DType::boolean, {2}, std::vector<double>{1, 0})}},
      "slice_by_index: index 4 of axis 0, which has 4 elements");
  expect_error(OpKind::split, {{"x", x}, {"axis", 1}, {"num_splits", 4}},
               "split: 6 elements do not split into 4 equal parts");
  expect_error(OpKind::split, {{"x", x}, {"axis", 1}, {"split_sizes", Ints{2, 3}}},
               "split: split_sizes add up to 5 but the axis has 6 elements");
  expect_error(OpKind::split, {{"x", x}, {"axis", 1}},
               "split: neither num_splits nor split_sizes is given");
  expect_error(OpKind::concat, {{"values", std::vector<Value>{x, in({4, 5})}}, {"axis", 0}},
               "concat: values[1] is tensor<fp16, [4, 5]> but values[0] is tensor<fp16, [4, 6]> "
               "(expected equal "
               "types but for axis 0)");
  expect_error(OpKind::concat,
               {{"values", std::vector<Value>{x, in({4, 5})}}, {"axis", 1}, {"interleave", true}},
               "concat: values[1] is tensor<fp16, [4, 5]> but values[0] is tensor<fp16, [4, 6]> "
               "(expected equal "
               "types)");
}

TEST(OpDefinitions, AreComplete) {
  for (const OpDef* def : all_ops()) {
    EXPECT_EQ(&op_def(def->kind), def) << def->name << " stands elsewhere in the table";
    EXPECT_EQ(op_name(def->kind), def->name);
    EXPECT_EQ(find_op(def->name), def->kind);
    EXPECT_FALSE(def->doc.empty()) << def->name;
    EXPECT_NE(def->infer, nullptr) << def->name;
    const bool is_const = def->kind == OpKind::const_;
    EXPECT_EQ(def->eval_real == nullptr, is_const) << def->name;
    EXPECT_EQ(def->eval_complex == nullptr, is_const) << def->name;
    EXPECT_EQ(def->sample == nullptr, is_const) << def->name;
  }
  EXPECT_FALSE(find_op("const_").has_value());
  EXPECT_FALSE(find_op("").has_value());
}

}  // namespace
}  // namespace anemone::mil

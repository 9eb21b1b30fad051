// What the cpu engine does not copy: shown by the steps it explains, and by results that are equal
// to the last bit.
#include <gtest/gtest.h>

#include <numeric>

#include "anemone/mil/builder.h"
#include "tests/engine/cpu/cpu_setups.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

using mil::Builder;
using mil::Type;
using mil::Value;

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

struct Built {
  mil::Program program;
  mil::TensorMap<double> inputs;
};

// Checks the result against the reference (exactly) and returns the explanation.
std::string run_exactly(const Built& built) {
  const mil::Function& function = built.program.main();
  mil::ConstantSource constants;
  const auto expected = mil::evaluate<double>(function, built.inputs, constants);
  const auto engine = cpu_engine(isas_here().back(), 2);
  EXPECT_EQ(run_on_engine(*engine, function, built.inputs, {}), expected);
  return engine->compile(function, {})->explain();
}

Value numbered_input(Built& built, Builder& b, const std::string& name, const Shape& shape) {
  std::vector<double>& values = built.inputs[name];
  values.resize(static_cast<std::size_t>(shape.elements()));
  std::iota(values.begin(), values.end(), 1.0 + static_cast<double>(built.inputs.size()));
  for (double& value : values) value = std::fmod(value, 251);
  return b.input(name, Type::tensor(DType::fp16, shape));
}

TEST(CpuViews, ViewsOfAnInputCostNothing) {
  Built built;
  Builder b(built.program);
  const Value x = numbered_input(built, b, "x", {1, 8, 1, 6});
  const Value cut = b.slice_by_size({{"x", x},
                                     {"begin", std::vector<std::int64_t>{0, 2, 0, 0}},
                                     {"size", std::vector<std::int64_t>{1, 4, 1, 6}}});
  const Value heads = b.reshape({{"x", cut}, {"shape", Shape{2, 2, 6}}});
  const Value turned = b.transpose({{"x", heads}, {"perm", std::vector<std::int64_t>{0, 2, 1}}});
  const Value every_second = b.slice_by_index({{"x", turned},
                                               {"begin", std::vector<std::int64_t>{0, 1, 0}},
                                               {"end", std::vector<std::int64_t>{2, 6, 2}},
                                               {"stride", std::vector<std::int64_t>{1, 2, 1}}});
  b.output(b.add({{"x", every_second}, {"y", 1.0}}), "y");
  const std::string text = run_exactly(built);
  EXPECT_NE(text.find(": 1 steps"), std::string::npos) << text;
}

TEST(CpuViews, ConcatsAreWrittenInPlace) {
  Built built;
  Builder b(built.program);
  const Value x = numbered_input(built, b, "x", {1, 4, 1, 6});
  const Value y = numbered_input(built, b, "y", {1, 4, 1, 6});
  const Value sum = b.add({{"x", x}, {"y", y}});
  const Value difference = b.sub({{"x", x}, {"y", y}});
  const Value turned =
      b.transpose({{"x", difference}, {"perm", std::vector<std::int64_t>{0, 1, 2, 3}}});
  b.output(b.concat({{"values", std::vector<Value>{sum, turned}}, {"axis", 1}}), "z");
  b.output(b.mul({{"x", sum}, {"y", 2.0}}), "twice");
  const std::string text = run_exactly(built);
  EXPECT_EQ(count(text, "copy of"), 0) << text;
}

TEST(CpuViews, WhatAConcatTakesTwiceOrFromAnInputIsCopied) {
  Built built;
  Builder b(built.program);
  const Value x = numbered_input(built, b, "x", {3, 5});
  const Value sum = b.add({{"x", x}, {"y", 1.0}});
  b.output(b.concat({{"values", std::vector<Value>{sum, x, sum}}, {"axis", 1}}), "z");
  b.output(b.concat({{"values", std::vector<Value>{x, x}}, {"axis", 0}, {"interleave", true}}),
           "mixed");
  const std::string text = run_exactly(built);
  EXPECT_EQ(count(text, "copy of"), 4) << text;
}

TEST(CpuViews, OutputsAreWrittenInPlaceThroughViews) {
  Built built;
  Builder b(built.program);
  const Value x = numbered_input(built, b, "x", {2, 3, 4});
  const Value sum = b.add({{"x", x}, {"y", 1.0}});
  const Value turned = b.transpose({{"x", sum}, {"perm", std::vector<std::int64_t>{0, 2, 1}}});
  b.output(b.reshape({{"x", turned}, {"shape", Shape{2, 12}}}), "y");
  const std::string text = run_exactly(built);
  EXPECT_EQ(count(text, "copy of"), 0) << text;
}

TEST(CpuViews, AProductIsWrittenTransposedForTheReshapeBehindIt) {
  Built built;
  Builder b(built.program);
  const Value x = numbered_input(built, b, "x", {2, 5, 3});
  const Value y = numbered_input(built, b, "y", {2, 3, 4});
  for (auto& [name, values] : built.inputs) {
    for (double& value : values) value = std::fmod(value, 7);
  }
  const Value product = b.matmul({{"x", x}, {"y", y}});
  const Value turned = b.transpose({{"x", product}, {"perm", std::vector<std::int64_t>{0, 2, 1}}});
  const Value flat = b.reshape({{"x", turned}, {"shape", Shape{8, 5}}});
  const Value sum = b.reduce_sum({{"x", flat}, {"axes", std::vector<std::int64_t>{0}}});
  b.output(sum, "y0");
  const std::string text = run_exactly(built);
  EXPECT_EQ(count(text, "copy of"), 0) << text;
  EXPECT_NE(text.find("written transposed"), std::string::npos) << text;
}

TEST(CpuViews, AReshapeThatStridesCannotExpressIsCopiedAndSaysSo) {
  Built built;
  Builder b(built.program);
  const Value x = numbered_input(built, b, "x", {3, 4});
  const Value turned = b.transpose({{"x", x}, {"perm", std::vector<std::int64_t>{1, 0}}});
  const Value flat = b.reshape({{"x", turned}, {"shape", Shape{12}}});
  b.output(b.add({{"x", flat}, {"y", 1.0}}), "y");
  const std::string text = run_exactly(built);
  EXPECT_EQ(count(text, "copy of"), 1) << text;
  EXPECT_NE(text.find("strides cannot express"), std::string::npos) << text;
}

// The part of a concat that is a copied reshape lies in strides that its source's shape cannot be
// seen in: it goes through a temporary.
TEST(CpuViews, ACopiedReshapeCanBeAPartOfAConcat) {
  Built built;
  Builder b(built.program);
  const Value x = numbered_input(built, b, "x", {4, 3});
  const Value turned = b.transpose({{"x", x}, {"perm", std::vector<std::int64_t>{1, 0}}});
  const Value square = b.reshape({{"x", turned}, {"shape", Shape{2, 6}}});
  const Value sum = b.add({{"x", square}, {"y", 1.0}});
  b.output(b.concat({{"values", std::vector<Value>{square, sum}}, {"axis", 1}}), "z");
  run_exactly(built);
}

TEST(CpuViews, InputsAndRepeatedValuesCanBeOutputs) {
  Built built;
  Builder b(built.program);
  const Value x = numbered_input(built, b, "x", {3, 4});
  const Value sum = b.add({{"x", x}, {"y", 1.0}});
  b.output(x, "same");
  b.output(sum, "first");
  b.output(sum, "second");
  b.output(b.reshape({{"x", sum}, {"shape", Shape{12}}}), "third");
  const std::string text = run_exactly(built);
  EXPECT_EQ(count(text, "copy of"), 3) << text;
}

TEST(CpuViews, PackedPortsAreViews) {
  Built built;
  Builder b(built.program);
  const Value x = numbered_input(built, b, "x", {1, 4, 1, 6});
  const Value y = numbered_input(built, b, "y", {1, 2, 1, 6});
  b.output(b.add({{"x", x}, {"y", 1.0}}), "a");
  b.output(b.add({{"x", y}, {"y", 2.0}}), "b");
  const auto engine = cpu_engine(isas_here().back(), 1);
  engine::CompileOptions options;
  options.pack_io = true;
  const auto executable = engine->compile(built.program.main(), options);
  ASSERT_EQ(executable->input_buffers().size(), 1U);
  ASSERT_EQ(executable->output_buffers().size(), 1U);
  EXPECT_EQ(executable->inputs()[1].offset_bytes, 4 * 6 * 2U);
  EXPECT_EQ(executable->scratch_bytes(), 0U) << executable->explain();
  EXPECT_NE(executable->explain().find(": 2 steps"), std::string::npos) << executable->explain();
  mil::ConstantSource constants;
  EXPECT_EQ(run_on_engine(*engine, built.program.main(), built.inputs, options),
            mil::evaluate<double>(built.program.main(), built.inputs, constants));
}

}  // namespace
}  // namespace anemone::test

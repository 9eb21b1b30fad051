// Exact floats, strings, and the identity of what is printed and read again.
#include "anemone/mil/printer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "anemone/base/element.h"
#include "anemone/mil/builder.h"
#include "anemone/mil/number.h"
#include "anemone/mil/parser.h"

namespace anemone::mil {
namespace {

TEST(PrintFloat, WritesAsFewDigitsAsCoremlc) {
  EXPECT_EQ(print_float(0.0, DType::fp16), "0x0p+0");
  EXPECT_EQ(print_float(-0.0, DType::fp16), "-0x0p+0");
  EXPECT_EQ(print_float(1.0, DType::fp16), "0x1p+0");
  EXPECT_EQ(print_float(-1.5, DType::fp32), "-0x1.8p+0");
  EXPECT_EQ(print_float(65504, DType::fp16), "0x1.ffcp+15");
  EXPECT_EQ(print_float(std::ldexp(1.0, -24), DType::fp16), "0x1p-24");
  EXPECT_EQ(print_float(0.1f, DType::fp32), "0x1.99999ap-4");
  EXPECT_EQ(print_float(std::numeric_limits<double>::infinity(), DType::fp32), "inf");
  EXPECT_EQ(print_float(-std::numeric_limits<double>::infinity(), DType::fp32), "-inf");
  EXPECT_EQ(print_float(-std::numeric_limits<double>::quiet_NaN(), DType::fp32), "nan");
  EXPECT_EQ(print_float(std::numeric_limits<double>::denorm_min(), DType::fp64), "0x1p-1074");
}

TEST(PrintFloat, IsReadBackExactly) {
  const auto check = [](DType type, const void* bits, std::size_t size) {
    std::byte stored[8], again[8];
    std::memcpy(stored, bits, size);
    const double value = load_element(type, stored, 0);
    if (std::isnan(value)) return;
    ASSERT_EQ(read_number(print_float(value, type), type, again), "");
    ASSERT_EQ(std::memcmp(stored, again, size), 0) << print_float(value, type);
  };
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto half = static_cast<std::uint16_t>(i);
    check(DType::fp16, &half, 2);
    check(DType::bf16, &half, 2);
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t bits = random();
    const auto word = static_cast<std::uint32_t>(bits);
    check(DType::fp32, &word, 4);
    check(DType::fp64, &bits, 8);
  }
}

TEST(Quote, EscapesWhatALineCannotHold) {
  EXPECT_EQ(quote("a\"b\\c\n\t\r\x01\x7f/é"), R"("a\"b\\c\n\t\r\x01\x7f/é")");
  EXPECT_EQ(quote("\xff\xc3(\xed\xa0\x80"), R"("\xff\xc3(\xed\xa0\x80")");  // no UTF-8
}

TEST(Printer, WritesWeightsAsTheFilesTheyWouldBe) {
  EXPECT_EQ(weight_path({"l0.w2", true}), "@model_path/weights/l0.w2_t.bin");
  EXPECT_EQ(weight_path({"../a b", false}), "@model_path/weights/constant.._a_b.bin");
  Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp16, {1, 4, 1, 8}));
  const Value w = b.weight({.name = "l0.wq"}, Type::tensor(DType::fp16, {4, 4, 1, 1}));
  b.output(b.conv({{"x", x}, {"weight", w}}), "y");
  const std::string text = print(program);
  EXPECT_NE(text.find("BLOBFILE(path = string(\"@model_path/weights/l0.wq.bin\"), offset = "
                      "uint64(64))"),
            std::string::npos);
  EXPECT_EQ(print(parse_program(text)), text);
}

// Everything but what the text does not hold: places, and names of immediates.
void expect_same(const Program& a, const Program& b) {
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.attributes, b.attributes);
  ASSERT_EQ(a.functions.size(), b.functions.size());
  for (std::size_t i = 0; i < a.functions.size(); ++i) {
    const Function &f = a.functions[i], &g = b.functions[i];
    EXPECT_EQ(f.name, g.name);
    EXPECT_EQ(f.opset, g.opset);
    EXPECT_EQ(f.inputs, g.inputs);
    EXPECT_EQ(f.outputs, g.outputs);
    EXPECT_EQ(f.attributes, g.attributes);
    ASSERT_EQ(f.values.size(), g.values.size());
    for (std::size_t v = 0; v < f.values.size(); ++v) {
      EXPECT_EQ(f.values[v].name, g.values[v].name);
      EXPECT_EQ(f.values[v].type, g.values[v].type);
      EXPECT_EQ(f.values[v].op, g.values[v].op);
      EXPECT_EQ(f.values[v].result, g.values[v].result);
    }
    ASSERT_EQ(f.ops.size(), g.ops.size());
    for (std::size_t o = 0; o < f.ops.size(); ++o) {
      EXPECT_EQ(f.ops[o].kind, g.ops[o].kind);
      EXPECT_EQ(f.ops[o].arguments, g.ops[o].arguments);
      EXPECT_EQ(f.ops[o].results, g.ops[o].results);
      EXPECT_EQ(f.ops[o].attributes, g.ops[o].attributes);
      EXPECT_EQ(f.ops[o].immediate, g.ops[o].immediate);
      ASSERT_EQ(f.ops[o].constant == nullptr, g.ops[o].constant == nullptr);
      if (f.ops[o].constant != nullptr) {
        EXPECT_EQ(*f.ops[o].constant, *g.ops[o].constant);
      }
    }
  }
}

TEST(Printer, ReadingGivesTheSameProgramAgain) {
  Program program;
  Builder b(program, "attention", "ios17");
  const Value q = b.input("q", Type::tensor(DType::fp16, {1, 2, 8, 4}));
  const Value k = b.input("k", Type::tensor(DType::fp16, {1, 2, 8, 4}));
  const std::vector<double> mask = {0, -65504, 1.0 / 3, -0.0};
  const Value m = b.constant(Constant::numbers(DType::fp16, {1, 1, 1, 4}, mask), "mask");
  const Value masked = b.add({{"x", k}, {"y", m}});
  const Value scores = b.matmul({{"x", q}, {"y", masked}, {"transpose_y", true}}, "scores");
  const Value probs = b.softmax({{"x", b.mul({{"x", scores}, {"y", 0.5}})}, {"axis", -1}});
  const auto halves =
      b.emit_all(OpKind::split, {{"x", probs}, {"num_splits", 2}, {"axis", 1}}, "half");
  const Value joined = b.concat({{"values", halves}, {"axis", 2}, {"interleave", false}});
  b.output(b.cast({{"x", joined}, {"dtype", "fp32"}}), "y");
  b.output(probs, "probs");
  for (const char* version : {"1.0", "1.3"}) {
    program.version = version;
    expect_same(parse_program(print(program)), program);
  }
}

}  // namespace
}  // namespace anemone::mil

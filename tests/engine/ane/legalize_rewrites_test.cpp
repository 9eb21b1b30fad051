// Each rewrite of legalize: the operation goes, and the program computes the same, within the
// rounding of the operations that took its place.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>

#include "anemone/engine/ane/passes/rewrites.h"
#include "anemone/mil/parser.h"
#include "tests/engine/ane/legal_case.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

using engine::ane::find_target;
using engine::ane::legalize;
using engine::ane::LegalizedProgram;

struct RewriteCase {
  std::string name;
  int rule = 0;
  std::string target;
  std::string inputs, body;  // MIL text; the body ends in a value `r`
  std::string gone;          // what must not be in the text any more
};

void PrintTo(const RewriteCase& test, std::ostream* out) { *out << test.name; }

mil::Program program_of(const RewriteCase& test) {
  return mil::parse_program(
      fmt::format("program(1.3)\n{{\n    func main<ios18>({}) {{\n{}\n        }} -> (r);\n}}\n",
                  test.inputs, test.body),
      test.name);
}

const char kChannels[] = "tensor<fp16, [1, 12, 1, 8]> u";

std::vector<RewriteCase> cases() {
  return {
      {"silu", 14, "m1", kChannels, "tensor<fp16, [1, 12, 1, 8]> r = silu(x = u);", "silu("},
      {"rsqrt", 11, "m1", kChannels,
       "tensor<fp16, [1, 12, 1, 8]> r = rsqrt(x = u, epsilon = fp16(0x1p-7));", "rsqrt("},
      {"rsqrt_without_epsilon", 11, "m2", kChannels,
       "tensor<fp16, [1, 12, 1, 8]> r = rsqrt(x = u);", "rsqrt("},
      {"reduce_mean", 10, "m1", kChannels,
       "tensor<fp16, [1, 1, 1, 8]> r = reduce_mean(x = u, axes = tensor<int32, [1]>([1]), "
       "keep_dims = bool(true));",
       "reduce_mean("},
      {"reduce_mean_of_all", 10, "m2", kChannels, "fp16 r = reduce_mean(x = u);", "reduce_mean("},
      {"reduce_mean_of_two", 10, "m2", kChannels,
       "tensor<fp16, [12, 1, 8]> r = reduce_mean(x = u, axes = tensor<int32, [1]>([0]));",
       "reduce_mean("},
      {"conv_bias", 6, "m4", kChannels,
       "tensor<fp16, [2, 12, 1, 1]> w = const()[val = tensor<fp16, [2, 12, 1, 1]>("
       "[[[[0x1p-1]],[[0x1p-2]],[[0x1p+0]],[[0x1p-1]],[[0x1p-2]],[[0x1p+0]],"
       "[[0x1p-1]],[[0x1p-2]],[[0x1p+0]],[[0x1p-1]],[[0x1p-2]],[[0x1p+0]]],"
       "[[[0x1p-3]],[[0x1p-2]],[[0x1p+0]],[[0x1p-1]],[[0x1p-2]],[[0x1p+0]],"
       "[[0x1p-1]],[[0x1p-2]],[[0x1p+0]],[[0x1p-3]],[[0x1p-2]],[[0x1p+0]]]])];"
       "tensor<fp16, [1, 2, 1, 8]> r = conv(x = u, weight = w, bias = tensor<fp16, [2]>([0x1p-1, "
       "0x1p+0]));",
       "conv(bias"},
      {"slice_of_an_input", 21, "m4", kChannels,
       "tensor<fp16, [1, 4, 1, 7]> s = slice_by_index(x = u, begin = tensor<int32, [4]>([0, 3, 5, "
       "-7]), end = tensor<int32, [4]>([1, -5, 9, 8]), begin_mask = tensor<bool, [4]>([false, "
       "false, true, false]), end_mask = tensor<bool, [4]>([false, false, true, false]));"
       "tensor<fp16, [1, 4, 1, 7]> r = sigmoid(x = s);",
       "slice_by_index("},
      {"softmax_on_an_odd_axis", 19, "m4", kChannels,
       "tensor<fp16, [1, 12, 1, 8]> r = softmax(x = u, axis = int32(1));", "program(1.0)"},
      {"matmul_of_rank_4", 38, "m1", "tensor<fp16, [2, 3, 4, 5]> u, tensor<fp16, [2, 3, 6, 4]> w",
       "tensor<fp16, [2, 3, 5, 6]> r = matmul(x = u, y = w, transpose_x = bool(true), transpose_y "
       "= bool(true));",
       "z_output0 = matmul("},
      {"concat_axis", 9, "m4", kChannels,
       "tensor<fp16, [1, 12, 1, 16]> r = concat(values = (u, u), axis = int32(-1));", "(-1)"},
  };
}

// matmul with each of its operands constant, each transposed or not.
std::vector<RewriteCase> matmul_cases() {
  std::vector<RewriteCase> all;
  for (const bool first : {true, false}) {
    for (const bool x_transposed : {false, true}) {
      for (const bool y_transposed : {false, true}) {
        // [2, 3] times [3, 5]; the constant's numbers are 1, 2, 3, … quarters.
        const std::string x = x_transposed ? "3, 2" : "2, 3", y = y_transposed ? "5, 3" : "3, 5";
        const bool by_columns = first ? x_transposed : y_transposed;
        const int rows = first ? (by_columns ? 3 : 2) : (by_columns ? 5 : 3);
        const int columns = first ? (by_columns ? 2 : 3) : (by_columns ? 3 : 5);
        std::string numbers;
        for (int i = 0; i < rows; ++i) {
          numbers += i == 0 ? "[[" : ", [";
          for (int j = 0; j < columns; ++j)
            numbers += fmt::format("{}{}", j == 0 ? "" : ", ", (1 + i * columns + j) * 0.25);
          numbers += "]";
        }
        const std::string shape = first ? x : y;
        RewriteCase test;
        test.name = fmt::format("matmul_{}{}{}", first ? "x" : "y", x_transposed ? "_xt" : "",
                                y_transposed ? "_yt" : "");
        test.rule = 56;
        test.target = "m1";
        test.inputs = fmt::format("tensor<fp16, [2, 2, {}]> u", first ? y : x);
        test.body = fmt::format(
            "tensor<fp16, [{0}]> w = const()[val = tensor<fp16, [{0}]>({1}])];"
            "tensor<fp16, [2, 2, 2, 5]> r = matmul(x = {2}, y = {3}, transpose_x = bool({4}), "
            "transpose_y = bool({5}));",
            shape, numbers, first ? "w" : "u", first ? "u" : "w", x_transposed, y_transposed);
        test.gone = "matmul(";
        all.push_back(std::move(test));
      }
    }
  }
  return all;
}

class Rewrites : public testing::TestWithParam<RewriteCase> {};

TEST_P(Rewrites, KeepWhatIsComputed) {
  const RewriteCase& test = GetParam();
  const mil::Program original = program_of(test);
  const LegalizedProgram legal = legalize(original, find_target(test.target), {.name = test.name});
  EXPECT_EQ(legal.text.find(test.gone), std::string::npos) << legal.text;
  const bool noted = std::any_of(legal.notes.begin(), legal.notes.end(),
                                 [&](const auto& note) { return note.rule == test.rule; });
  EXPECT_TRUE(noted) << "no note of rule " << test.rule;

  // Positive, so that no sum cancels: every operation is off by one rounding of what it gives.
  const auto inputs = random_inputs(original.main(), 0.25, 4);
  mil::ConstantSource constants;
  const auto expected = mil::evaluate(original.main(), inputs, constants).at("r");
  const auto actual = evaluate_legal(legal, "main", inputs, nullptr).at("r");
  const double relative = (count_operations(legal.program.main()) + 1) * unit_roundoff(DType::fp16);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i], relative * std::abs(expected[i])) << i;
}

std::string name_of(const testing::TestParamInfo<RewriteCase>& test) { return test.param.name; }
INSTANTIATE_TEST_SUITE_P(Table, Rewrites, testing::ValuesIn(cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Matmul, Rewrites, testing::ValuesIn(matmul_cases()), name_of);

TEST(Rewrites, EveryRowIsTested) {
  for (const engine::ane::Rewrite& row : engine::ane::rewrites()) {
    auto all = cases();
    for (RewriteCase& test : matmul_cases()) all.push_back(std::move(test));
    const bool tested = std::any_of(all.begin(), all.end(),
                                    [&](const auto& test) { return test.rule == row.rule; });
    EXPECT_TRUE(tested) << row.rule;
  }
}

TEST(Rewrites, OnlyWhereTheTargetNeedsThem) {
  for (const RewriteCase& test : cases()) {
    if (test.name != "silu" && test.name != "rsqrt" && test.name != "reduce_mean") continue;
    const LegalizedProgram legal = legalize(program_of(test), find_target("m3"), {});
    EXPECT_NE(legal.text.find(test.gone), std::string::npos) << legal.text;
  }
}

// Of squares whose plain sum is out of fp16's reach.
TEST(Rewrites, AMeanOverflowsLaterThanItsSum) {
  RewriteCase test = cases()[3];
  ASSERT_EQ(test.name, "reduce_mean");
  const mil::Program original = program_of(test);
  const LegalizedProgram legal = legalize(original, find_target("m1"), {});
  const auto actual =
      evaluate_legal(legal, "main", {{"u", std::vector<double>(96, 8192.0)}}, nullptr).at("r");
  for (const double value : actual) EXPECT_NEAR(value, 8192, 8192 * std::ldexp(1, -10));
}

}  // namespace
}  // namespace anemone::test

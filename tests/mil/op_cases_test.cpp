// Hand-checked examples of every operation: the files of tests/mil/ops, in which comments give
// inputs and results.
//
//   // input x = [1, 2]           values in row-major order, for the function that follows
//   // expect y = [0.25, 0.75]    rounded here to y's element type; `inf`, `-inf` and `nan` may be
//   written
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <set>
#include <sstream>

#include "anemone/base/element.h"
#include "anemone/base/file.h"
#include "anemone/mil/evaluate.h"
#include "anemone/mil/parser.h"
#include "tests/support/shared.h"

namespace anemone::mil {
namespace {

struct Example {
  std::string function;
  TensorMap<double> inputs, expected;
};

// "[1, -0x1p-3, inf]"
std::vector<double> parse_values(const std::string& text) {
  std::vector<double> values;
  const char* at = text.c_str() + text.find('[') + 1;
  while (true) {
    char* end = nullptr;
    const double value = std::strtod(at, &end);
    if (end == at) break;
    values.push_back(value);
    at = *end == ',' ? end + 1 : end;
  }
  return values;
}

std::vector<Example> examples(const std::string& text) {
  std::vector<Example> found;
  Example next;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first, second, name;
    words >> first >> second >> name;
    if (first == "//" && second == "input") next.inputs[name] = parse_values(line);
    if (first == "//" && second == "expect") next.expected[name] = parse_values(line);
    if (first == "func") {
      next.function = second.substr(0, second.find('<'));
      found.push_back(std::move(next));
      next = {};
    }
  }
  return found;
}

// A result may differ by one step of its type from the rounded decimal.
void check(const Function& function, const Example& example) {
  ConstantSource constants;
  const auto outputs = evaluate<double>(function, example.inputs, constants);
  ASSERT_EQ(outputs.size(), example.expected.size()) << "expectations";
  for (const Value output : function.outputs) {
    const std::string& name = function.name_of(output);
    ASSERT_EQ(example.expected.count(name), 1u) << name;
    const auto &values = outputs.at(name), &wanted = example.expected.at(name);
    ASSERT_EQ(values.size(), wanted.size()) << name;
    const DType dtype = function.type(output).dtype;
    const double step = dtype == DType::fp16 ? 0x1p-10 : dtype == DType::fp32 ? 0x1p-23 : 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double expected = round_to(dtype, wanted[i]);
      if (std::isnan(expected) || std::isinf(expected)) {
        EXPECT_TRUE(values[i] == expected || (std::isnan(values[i]) && std::isnan(expected)))
            << name << "[" << i << "] is " << values[i] << ", expected " << expected;
      } else {
        EXPECT_NEAR(values[i], expected, step * std::abs(expected)) << name << "[" << i << "]";
      }
    }
  }
}

TEST(OpCases, EveryFileOfHandCheckedExamples) {
  std::set<std::string> seen;
  for (const auto& entry :
       std::filesystem::directory_iterator(test::source_root() / "tests/mil/ops")) {
    if (entry.path().extension() != ".mil") continue;
    const std::string file = entry.path().stem().string();
    const std::string text = read_text_file(entry.path());
    const Program program = parse_program(text, file + ".mil");
    bool uses_op = false;
    for (const Example& example : examples(text)) {
      SCOPED_TRACE(file + ".mil: " + example.function);
      const Function* function = program.find(example.function);
      ASSERT_NE(function, nullptr);
      check(*function, example);
      for (const Operation& op : function->ops) uses_op |= op_name(op.kind) == file;
    }
    EXPECT_TRUE(uses_op) << file << ".mil does not use " << file;
    seen.insert(file);
  }
  for (const OpDef* def : all_ops()) {
    EXPECT_EQ(seen.count(std::string(def->name)), 1u)
        << "tests/mil/ops/" << def->name << ".mil is missing";
  }
}

}  // namespace
}  // namespace anemone::mil

// Broken programs that no text can be: what a faulty builder or pass would make.
#include "anemone/mil/verifier.h"

#include <gtest/gtest.h>

#include <functional>

#include "anemone/base/error.h"
#include "anemone/mil/parser.h"

namespace anemone::mil {
namespace {

constexpr const char* kText =
    "program(1.3)\n{\nfunc main<ios18>(tensor<fp16, [1, 4]> x) {\n"
    "tensor<fp16, [1, 4]> a = softmax(axis = int32(1), x = x);\n"
    "tensor<fp16, [1, 4]> y = add(x = a, y = x);\n"
    "} -> (y);\n}\n";

// Values: 0 x, 1 the immediate, 2 a, 3 y. Operations: 0 the immediate, 1 softmax, 2 add.
std::string problem_after(const std::function<void(Function&)>& damage) {
  Program program = parse_program(kText);
  for (Operation& op : program.main().ops) op.location = {};  // as if built
  for (ValueInfo& info : program.main().values) info.location = {};
  program.main().location = {};
  damage(program.main());
  try {
    verify_or_throw(program, "built");
    return "none";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Verifier, FindsDamage) {
  EXPECT_EQ(problem_after([](Function&) {}), "none");
  EXPECT_EQ(problem_after([](Function& f) { std::swap(f.ops[1], f.ops[2]); }),
            "built: add: 'a' is used before it is defined (in function main, at y)");
  EXPECT_EQ(problem_after([](Function& f) { f.ops[2].arguments[0] = {{77}}; }),
            "built: add: '?' is used before it is defined (in function main, at y)");
  EXPECT_EQ(problem_after([](Function& f) { f.ops[2].arguments[0] = {}; }),
            "built: add: x is missing (in function main, at y)");
  EXPECT_EQ(problem_after([](Function& f) { f.ops[2].results = {{2}}; }),
            "built: add: a result that it does not define (in function main, at a)");
  EXPECT_EQ(problem_after([](Function& f) { f.values[3].name = "a"; }),
            "built: 'a' is defined twice (in function main, at a)");
  EXPECT_EQ(problem_after([](Function& f) { f.values[3].name = "1y"; }),
            "built: a value's name that is no identifier: \"1y\" (in function main, at 1y)");
  EXPECT_EQ(problem_after([](Function& f) { f.name = ""; }).substr(0, 40),
            "built: a function's name that is no iden");
  EXPECT_EQ(problem_after([](Function& f) { f.values[3].type.dtype = DType::fp32; }),
            "built: add: 'y' is declared tensor<fp32, [1, 4]> but is tensor<fp16, [1, 4]> "
            "(in function main, at y)");
  EXPECT_EQ(problem_after([](Function& f) { f.ops[2].immediate = true; }),
            "built: only a const can be immediate (in function main, at y)");
  EXPECT_EQ(problem_after([](Function& f) { f.ops[0].constant = nullptr; }).substr(0, 27),
            "built: const: val is missin");
  EXPECT_EQ(problem_after([](Function& f) { f.inputs.push_back({2}); }),
            "built: an input that is no input (in function main)");
  EXPECT_EQ(problem_after([](Function& f) { f.outputs = {{9}}; }),
            "built: an output that is not defined (in function main)");
  EXPECT_EQ(problem_after([](Function& f) { f.outputs = {{1}}; }),
            "built: an output that has no name (in function main, at )");
  EXPECT_EQ(problem_after([](Function& f) { f.outputs = {}; }),
            "built: function 'main' has no outputs (in function main)");
}

TEST(Verifier, WantsAFunction) { EXPECT_THROW(verify_or_throw(Program{}, "built"), Error); }

}  // namespace
}  // namespace anemone::mil

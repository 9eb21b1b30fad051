// Folding keeps the meaning, folds what it can, and adds only so much.
#include <gtest/gtest.h>

#include "anemone/mil/builder.h"
#include "anemone/mil/evaluate.h"
#include "anemone/mil/passes/passes.h"
#include "anemone/mil/random_program.h"
#include "anemone/mil/verifier.h"

namespace anemone::mil {
namespace {

std::size_t count_ops(const Function& function) {
  std::size_t count = 0;
  for (const Operation& op : function.ops) count += op.kind != OpKind::const_ ? 1 : 0;
  return count;
}

TEST(FoldConstants, ComputesTheSameBitsAsEvaluation) {
  std::size_t before = 0, after = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    RandomProgram random(seed);
    random.grow();
    const TensorMap<double> inputs = random.inputs();
    Program program = random.finish();
    ConstantSource constants;
    const auto expected = evaluate<double>(program.main(), inputs, constants);
    before += count_ops(program.main());
    PassContext context{constants};
    run_standard_passes(program.main(), context);
    after += count_ops(program.main());
    verify_or_throw(program, "folded");
    EXPECT_EQ(evaluate<double>(program.main(), inputs, constants), expected) << "seed " << seed;
  }
  EXPECT_LT(after, before);
}

TEST(FoldConstants, LeavesNothingToComputeBetweenConstants) {
  Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp16, {2, 2}));
  const Value c = b.constant(Constant::numbers(DType::fp16, {4}, std::vector<double>{1, 2, 3, 4}));
  const auto halves = b.emit_all(OpKind::split, {{"x", c}, {"axis", 0}, {"num_splits", 2}});
  const Value sum = b.add({{"x", halves[0]}, {"y", halves[1]}});
  b.output(b.mul({{"x", x}, {"y", b.exp({{"x", sum}})}}), "y");
  ConstantSource constants;
  PassContext context{constants};
  EXPECT_TRUE(fold_constants(program.main(), context));
  EXPECT_EQ(count_ops(program.main()), 1u);
  EXPECT_FALSE(fold_constants(program.main(), context));
}

TEST(FoldConstants, KeepsOutputsResultsOfOperations) {
  Program program;
  Builder b(program);
  b.output(b.exp({{"x", b.constant(Constant::scalar(DType::fp16, 1))}}), "y");
  ConstantSource constants;
  PassContext context{constants};
  EXPECT_FALSE(fold_constants(program.main(), context));
}

TEST(FoldConstants, TransposesReferencesToWeights) {
  Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp16, {1, 3, 1, 4}));
  const Value w = b.weight({"w"}, Type::tensor(DType::fp16, {3, 2, 1, 1}));
  const Value turned = b.transpose({{"x", w}, {"perm", std::vector<std::int64_t>{1, 0, 2, -1}}});
  b.output(b.conv({{"x", x}, {"weight", turned}}), "y");
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  WeightStore store;
  store.add("w", {3, 2}, values);
  ConstantSource constants(&store);
  const TensorMap<double> inputs{{"x", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}};
  const auto expected = evaluate<double>(program.main(), inputs, constants);
  PassContext context{constants};
  EXPECT_TRUE(fold_constants(program.main(), context));
  EXPECT_EQ(count_ops(program.main()), 1u);
  EXPECT_EQ(program.main().constant(turned)->weight()->transposed, true);
  EXPECT_EQ(evaluate<double>(program.main(), inputs, constants), expected);
}

// Broadcasting makes large tensors of small ones; a program of many such operations must not become
// gigabytes.
TEST(FoldConstants, IsBounded) {
  Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp32, {1}));
  std::vector<double> row(1 << 10, 1.0);
  const Value down = b.constant(Constant::numbers(DType::fp32, {1 << 10, 1}, row));
  const Value across = b.constant(Constant::numbers(DType::fp32, {1, 1 << 10}, row));
  for (int i = 0; i < 50; ++i) {  // 4 MB each
    const Value big = b.add({{"x", down}, {"y", across}});
    b.output(b.mul({{"x", big}, {"y", x}}), "y" + std::to_string(i));
  }
  ConstantSource constants;
  PassContext context{constants};
  fold_constants(program.main(), context);
  std::size_t bytes = 0;
  for (const Operation& op : program.main().ops) {
    if (op.kind == OpKind::const_) bytes += op.constant->bytes().size();
  }
  EXPECT_LE(bytes, std::size_t{18} << 20);
}

}  // namespace
}  // namespace anemone::mil

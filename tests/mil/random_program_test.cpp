// Random programs are valid and well behaved, and every operation obeys its definition in them.
#include "anemone/mil/random_program.h"

#include <gtest/gtest.h>

#include <cmath>

#include "anemone/base/error.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/printer.h"
#include "anemone/mil/verifier.h"

namespace anemone::mil {
namespace {

TEST(RandomProgram, EvaluatesToFiniteNumbers) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    RandomProgram random(seed);
    random.grow();
    const TensorMap<double> inputs = random.inputs();
    const Program program = random.finish();
    ASSERT_FALSE(program.main().outputs.empty());
    ConstantSource constants;
    const auto outputs = evaluate<double>(program.main(), inputs, constants);
    for (const Value output : program.main().outputs) {
      const auto& values = outputs.at(program.main().name_of(output));
      EXPECT_EQ(static_cast<std::int64_t>(values.size()),
                program.main().type(output).shape.elements());
      for (const double value : values) ASSERT_TRUE(std::isfinite(value)) << "seed " << seed;
    }
  }
}

// The text says it all: what is parsed back computes the same bits.
TEST(RandomProgram, VerifiesPrintsAndParsesBack) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomProgram random(seed);
    random.grow();
    const TensorMap<double> inputs = random.inputs();
    Program program = random.finish();
    if (seed % 2 == 1) program.version = "1.0";
    ASSERT_NO_THROW(verify_or_throw(program, "random"));
    const std::string text = print(program);
    const Program parsed = parse_program(text);
    EXPECT_EQ(print(parsed), text);
    ConstantSource constants;
    EXPECT_EQ(evaluate<double>(parsed.main(), inputs, constants),
              evaluate<double>(program.main(), inputs, constants));
  }
}

TEST(RandomProgram, IsTheSameForTheSameSeed) {
  RandomProgram a(7), b(7), c(8);
  a.grow();
  b.grow();
  c.grow();
  EXPECT_EQ(a.inputs(), b.inputs());
  EXPECT_NE(a.inputs(), c.inputs());
}

// Every operation but const can be drawn, alone and again and again.
TEST(RandomProgram, DrawsEveryOperation) {
  for (const OpDef* def : all_ops()) {
    if (def->kind == OpKind::const_) continue;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      RandomProgram random(seed);
      ASSERT_TRUE(random.grow(def->kind)) << def->name;
      const TensorMap<double> inputs = random.inputs();
      const Program program = random.finish();
      ConstantSource constants;
      evaluate<double>(program.main(), inputs, constants);
    }
  }
}

}  // namespace
}  // namespace anemone::mil

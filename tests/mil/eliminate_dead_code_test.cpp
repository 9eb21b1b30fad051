// Dead code goes, everything else stays as it was.
#include <gtest/gtest.h>

#include "anemone/mil/parser.h"
#include "anemone/mil/passes/passes.h"
#include "anemone/mil/printer.h"
#include "anemone/mil/verifier.h"

namespace anemone::mil {
namespace {

bool run(Program& program) {
  ConstantSource constants;
  PassContext context{constants};
  return eliminate_dead_code(program.main(), context);
}

constexpr const char* kHead =
    "program(1.3)\n{\n    func main<ios18>(tensor<fp16, [1, 4]> x, fp16 unused) {\n";

TEST(EliminateDeadCode, RemovesWhatNoOutputNeeds) {
  Program program =
      parse_program(std::string(kHead) +
                    "            fp16 dead = const()[val = fp16(1)];\n"
                    "            tensor<fp16, [1, 4]> a = sqrt(x = x);\n"
                    "            tensor<fp16, [1, 4]> b = add(x = a, y = dead);\n"
                    "            tensor<fp16, [1, 4]> c = softmax(axis = int32(1), x = b);\n"
                    "            tensor<fp16, [1, 2]> left, tensor<fp16, [1, 2]> right = "
                    "split(axis = int32(1), num_splits = int32(2), x = a);\n"
                    "            tensor<fp16, [1, 2]> y = exp(x = right);\n"
                    "        } -> (y);\n}\n");
  EXPECT_TRUE(run(program));
  verify_or_throw(program, "t");
  EXPECT_EQ(print(program),
            std::string(kHead) +
                "            tensor<fp16, [1, 4]> a = sqrt(x = x);\n"
                "            tensor<fp16, [1, 2]> left, tensor<fp16, [1, 2]> right = "
                "split(axis = int32(1), num_splits = int32(2), x = a);\n"
                "            tensor<fp16, [1, 2]> y = exp(x = right);\n"
                "        } -> (y);\n}\n");
  EXPECT_FALSE(run(program));
}

TEST(EliminateDeadCode, LeavesLiveProgramsAlone) {
  const std::string text = std::string(kHead) +
                           "            tensor<fp16, [1, 4]> y = sqrt(x = x);\n"
                           "            tensor<fp16, [1, 4]> z = add(x = x, y = y);\n"
                           "        } -> (z, y, x);\n}\n";
  Program program = parse_program(text);
  EXPECT_FALSE(run(program));
  EXPECT_EQ(print(program), text);
}

}  // namespace
}  // namespace anemone::mil

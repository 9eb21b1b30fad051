// The kernels of a layer as the Neural Engine gets them: the text, letter by letter, for an M4 and
// an M1, and the same results as before.
//
// golden/<target>/<kernel>.mil are the six packed kernels at default sizes; ANEMONE_UPDATE_GOLDEN=1
// writes them anew.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "anemone/base/file.h"
#include "anemone/engine/ane/legalize.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/verifier.h"
#include "tests/engine/ane/legal_case.h"
#include "tests/support/default_layer.h"
#include "tests/support/shared.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

using engine::ane::find_target;
using engine::ane::LegalFunction;
using engine::ane::legalize;
using engine::ane::LegalizedProgram;

class LegalKernels : public testing::TestWithParam<std::string> {};

TEST_P(LegalKernels, GoldenText) {
  for (nn::Kernel& kernel : nn::layer_kernels(default_layer(), "six")) {
    const LegalizedProgram legal =
        legalize(std::move(kernel.program), find_target(GetParam()), {.name = kernel.name});
    const auto path = source_root() / "tests/engine/ane/golden" / GetParam() /
                      (kernel.name.substr(3) + ".mil");  // without "l0."
    if (std::getenv("ANEMONE_UPDATE_GOLDEN") != nullptr) {
      std::filesystem::create_directories(path.parent_path());
      ASSERT_TRUE(write_file_atomically(path, legal.text).ok()) << path;
    }
    EXPECT_EQ(read_text_file(path), legal.text)
        << path << " is out of date: run this test with ANEMONE_UPDATE_GOLDEN=1";
  }
}

TEST_P(LegalKernels, TextIsWhatTheCompilerWants) {
  for (const nn::Partition& partition : nn::partitions()) {
    for (nn::Kernel& kernel : nn::layer_kernels(default_layer(), partition.name)) {
      const auto target = find_target(GetParam());
      const LegalizedProgram legal = legalize(kernel.program, target, {.name = kernel.name});
      const mil::Program parsed = mil::parse_program(legal.text, kernel.name);
      EXPECT_EQ(parsed.version, target.program_version);
      EXPECT_EQ(parsed.main().opset, target.opset);
      EXPECT_NE(legal.text.find("{\"coremlc-version\", "), std::string::npos) << "rule 3";
      EXPECT_EQ(legal.text.find("fp32"), std::string::npos) << "rule 28";
      EXPECT_LE(legal.blobs.size(), 15U) << "rule 52";
      for (const mil::Operation& op : parsed.main().ops) {
        EXPECT_FALSE(op.immediate) << "rule 5";
        if (op.constant != nullptr && op.constant->blob() != nullptr) {
          EXPECT_EQ(op.constant->blob()->offset, 64U) << "rule 51";
        }
      }
      const LegalFunction& function = legal.functions.at(0);
      std::vector<std::string> names;
      for (const auto& buffer : function.input_buffers) names.push_back(buffer.name);
      for (const auto& buffer : function.output_buffers) names.push_back(buffer.name);
      EXPECT_TRUE(std::is_sorted(names.begin(), names.end())) << "rule 58";
    }
  }
}

// Every kernel with the inputs it has in a step.
TEST_P(LegalKernels, ComputeTheSame) {
  const LayerCase layer(small_layer(24, 40, 16), 2);
  for (const nn::Partition& partition : nn::partitions()) {
    const nn::StepGraph graph = nn::layer_step(layer.config, partition.name);
    mil::ConstantSource constants(&layer.weights);
    const auto step = evaluate_step(graph, layer.inputs, constants);
    for (const nn::Call& call : graph.calls) {
      const nn::Kernel& kernel = graph.kernels[static_cast<std::size_t>(call.kernel)];
      if (kernel.host) continue;
      const LegalizedProgram legal =
          legalize(kernel.program, find_target(GetParam()), {.name = kernel.name});
      mil::TensorMap<double> inputs;
      for (const auto& port : call.inputs) inputs[port.local] = step.tensors.at(port.global);
      const auto outputs = evaluate_legal(legal, "main", inputs, &layer.weights);
      // Without rewrites the same operations, hence the same numbers; else one more rounding for
      // each operation.
      const bool rewritten =
          std::any_of(legal.notes.begin(), legal.notes.end(),
                      [](const auto& note) { return note.rule == 10 || note.rule == 56; });
      const double relative = rewritten ? rounding(count_operations(legal.program.main()),
                                                   layer.config.hidden, DType::fp16)
                                        : 0;
      for (const auto& port : call.outputs) {
        const auto& expected = step.tensors.at(port.global);
        EXPECT_LE(distance(outputs.at(port.local), expected), relative * norm(expected))
            << kernel.name << " " << port.local;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, LegalKernels, testing::Values("m1", "m4"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace anemone::test

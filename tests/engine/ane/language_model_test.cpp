// The kernels of language models as the Neural Engine gets them: lint finds no error in them, and
// they compute what they did, with groups of queries, both layouts of rotary embedding and parts of
// a vocabulary.
#include "anemone/nn/language_model.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "anemone/engine/ane/legalize.h"
#include "anemone/engine/ane/lint/lint.h"
#include "anemone/mil/diagnostics.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/passes/pack_io.h"
#include "tests/engine/ane/legal_case.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

namespace ane = engine::ane;

// A model of 110 M parameters, with a third of its key heads.
nn::ModelConfig usual_model(nn::Rope rope) {
  nn::ModelConfig config;
  config.dim = 768;
  config.hidden = 2048;
  config.heads = 12;
  config.kv_heads = 4;
  config.seq = 256;
  config.vocab = 32000;
  config.rope = rope;
  return config;
}

nn::ModelConfig small_model(nn::Rope rope) {
  nn::ModelConfig config;
  config.dim = 24;
  config.hidden = 40;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.seq = 16;
  config.vocab = 8200;  // two parts
  config.rope = rope;
  return config;
}

void expect_no_errors(const mil::Program& program, const ane::Target& target,
                      const std::string& name) {
  const ane::lint::Result result = ane::lint::lint(program, target);
  mil::Diagnostics diagnostics(name, {});
  ane::lint::show(result, diagnostics);
  EXPECT_EQ(result.count(mil::Severity::error), 0U) << name << "\n" << diagnostics.render();
}

class LegalLanguageModel : public testing::TestWithParam<nn::Rope> {};

TEST_P(LegalLanguageModel, HasNoLintErrors) {
  for (const nn::Partition& partition : nn::partitions()) {
    for (nn::Kernel& kernel : nn::model_kernels(usual_model(GetParam()), partition.name)) {
      const std::string name = std::string(partition.name) + " " + kernel.name;
      for (const char* target : {"m1", "m4"}) {
        const ane::LegalizedProgram legal =
            ane::legalize(kernel.program, ane::find_target(target), {.name = kernel.name});
        expect_no_errors(mil::parse_program(legal.text, name), ane::find_target(target),
                         name + " on " + target);
      }
    }
  }
}

TEST_P(LegalLanguageModel, ComputesTheSame) {
  const LayerCase model(small_model(GetParam()), 2);
  for (const nn::Partition& partition : nn::partitions()) {
    const nn::StepGraph graph = nn::language_model_step(model.config, partition.name);
    mil::ConstantSource constants(&model.weights);
    const auto step = evaluate_step(graph, model.inputs, constants);
    for (const nn::Call& call : graph.calls) {
      const nn::Kernel& kernel = graph.kernels[static_cast<std::size_t>(call.kernel)];
      if (kernel.host) continue;
      const ane::LegalizedProgram legal =
          ane::legalize(kernel.program, ane::find_target("m4"), {.name = kernel.name});
      mil::TensorMap<double> inputs;
      for (const auto& port : call.inputs) inputs[port.local] = step.tensors.at(port.global);
      const auto outputs = evaluate_legal(legal, "main", inputs, &model.weights);
      const double relative =
          rounding(count_operations(legal.program.main()), model.config.hidden, DType::fp16);
      for (const auto& port : call.outputs) {
        const auto& expected = step.tensors.at(port.global);
        EXPECT_LE(distance(outputs.at(port.local), expected), relative * norm(expected))
            << kernel.name << " " << port.local;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, LegalLanguageModel,
                         testing::Values(nn::Rope::pairs, nn::Rope::halves),
                         [](const auto& test) { return nn::rope_name(test.param); });

}  // namespace
}  // namespace anemone::test

// The kernels and glue programs of a transformer layer, and of a language model, on the cpu engine
// against the reference, each with the inputs it has in a whole step.
#include <gtest/gtest.h>

#include "anemone/base/element.h"
#include "anemone/nn/language_model.h"
#include "tests/engine/cpu/cpu_setups.h"
#include "tests/engine/oracle.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

nn::ModelConfig small_config(std::int64_t seq, DType dtype) {
  nn::ModelConfig config;
  config.dim = 12;
  config.hidden = 20;
  config.heads = 3;
  config.seq = seq;
  config.dtype = dtype;
  return config;
}

// Groups of queries, rotary embedding, and a vocabulary.
nn::ModelConfig small_language_model(nn::Rope rope, DType dtype) {
  nn::ModelConfig config = small_config(21, dtype);
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 6;
  config.vocab = 50;
  config.rope = rope;
  return config;
}

struct KernelCase {
  const nn::Kernel* kernel = nullptr;
  mil::TensorMap<double> inputs;
};

std::vector<KernelCase> kernel_cases(const nn::StepGraph& graph,
                                     const mil::TensorMap<double>& tensors) {
  std::vector<KernelCase> cases;
  for (const nn::Call& call : graph.calls) {
    KernelCase kernel{&graph.kernels[static_cast<std::size_t>(call.kernel)], {}};
    const mil::Function& function = kernel.kernel->program.main();
    for (std::size_t i = 0; i < call.inputs.size(); ++i) {
      std::vector<double>& values = kernel.inputs[call.inputs[i].local];
      values = tensors.at(call.inputs[i].global);
      // The host's operations are evaluated without rounding.
      for (double& value : values) value = round_to(function.type(function.inputs[i]).dtype, value);
    }
    cases.push_back(std::move(kernel));
  }
  return cases;
}

void check_model(std::string_view partition, const nn::ModelConfig& config,
                 engine::ProductPrecision products) {
  const LayerCase layer(config, 7);
  mil::ConstantSource constants(&layer.weights);
  const nn::StepGraph graph = nn::model_step(layer.config, partition);
  const StepValues<double> step = evaluate_step(graph, layer.inputs, constants);
  const std::vector<CpuSetup> setups = cpu_setups();
  OracleOptions oracle;
  oracle.bf16_products = products == engine::ProductPrecision::bf16;
  for (const KernelCase& kernel : kernel_cases(graph, step.tensors)) {
    const mil::Function& function = kernel.kernel->program.main();
    const CpuExpected expected(function, kernel.inputs, constants, oracle);
    for (const CpuSetup& setup : setups) {
      for (const bool packed : {false, true}) {
        if (packed && kernel.kernel->host) continue;  // glue has ports of several kinds
        engine::CompileOptions options;
        options.name = kernel.kernel->name;
        options.weights = &layer.weights;
        options.products = products;
        options.pack_io = packed;
        const auto actual = run_on_engine(*setup.engine, function, kernel.inputs, options);
        expect_close(actual, expected.of(setup),
                     options.name + (packed ? ", packed, on " : " on ") + setup.name);
      }
    }
  }
}

void check_layer(std::string_view partition, std::int64_t seq, DType dtype,
                 engine::ProductPrecision products) {
  check_model(partition, small_config(seq, dtype), products);
}

TEST(CpuLayer, SixKernelsInFp16) {
  check_layer("six", 17, DType::fp16, engine::ProductPrecision::operands);
}
TEST(CpuLayer, DynamicInFp16) {
  check_layer("dynamic", 17, DType::fp16, engine::ProductPrecision::operands);
}
TEST(CpuLayer, MergedInFp16) {
  check_layer("merged", 67, DType::fp16, engine::ProductPrecision::operands);
}
TEST(CpuLayer, MergedInFp32) {
  check_layer("merged", 9, DType::fp32, engine::ProductPrecision::operands);
}
TEST(CpuLayer, MergedWithBf16Products) {
  check_layer("merged", 16, DType::fp16, engine::ProductPrecision::bf16);
}

TEST(CpuLanguageModel, SixKernelsInFp16) {
  check_model("six", small_language_model(nn::Rope::pairs, DType::fp16),
              engine::ProductPrecision::operands);
}
TEST(CpuLanguageModel, MergedInFp32) {
  check_model("merged", small_language_model(nn::Rope::halves, DType::fp32),
              engine::ProductPrecision::operands);
}
TEST(CpuLanguageModel, DynamicWithBf16Products) {
  check_model("dynamic", small_language_model(nn::Rope::pairs, DType::fp16),
              engine::ProductPrecision::bf16);
}

std::string explained(const LayerCase& model, const nn::Kernel& kernel) {
  engine::CompileOptions options;
  options.weights = &model.weights;
  options.name = kernel.name;
  return cpu_engine(Isa::plain, 1)->compile(kernel.program.main(), options)->explain();
}

void expect_nothing_falls_back(const nn::ModelConfig& config) {
  const LayerCase model(config, 7);
  for (const nn::Partition& partition : nn::partitions()) {
    for (const nn::Kernel& kernel : nn::model_step(model.config, partition.name).kernels) {
      const std::string text = explained(model, kernel);
      EXPECT_NE(text.find("reference evaluations 0"), std::string::npos) << text;
      EXPECT_EQ(text.find("copy of"), std::string::npos) << text;
    }
  }
}

TEST(CpuLayer, NothingFallsBackToTheReference) {
  expect_nothing_falls_back(small_config(8, DType::fp16));
}

TEST(CpuLanguageModel, NothingFallsBackToTheReference) {
  expect_nothing_falls_back(small_language_model(nn::Rope::pairs, DType::fp16));
  expect_nothing_falls_back(small_language_model(nn::Rope::halves, DType::fp32));
}

// Logits are read as they are, once on each way: no fp32 copy of a part of the vocabulary is made.
TEST(CpuLanguageModel, LossReadsLogitsInTheirType) {
  const LayerCase model(small_language_model(nn::Rope::pairs, DType::fp16), 7);
  int glue = 0;
  for (const nn::Kernel& kernel : nn::model_step(model.config, "merged").kernels) {
    if (kernel.name != "log_sum0" && kernel.name != "logits_bwd0") continue;
    ++glue;
    const std::string text = explained(model, kernel);
    EXPECT_NE(text.find(kernel.name + ": 1 steps"), std::string::npos) << text;
  }
  EXPECT_EQ(glue, 2);
}

}  // namespace
}  // namespace anemone::test

// The kernels and glue programs of a transformer layer on the cpu engine against the reference,
// each with the inputs it has in a whole step.
#include <gtest/gtest.h>

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

struct KernelCase {
  const nn::Kernel* kernel = nullptr;
  mil::TensorMap<double> inputs;
};

std::vector<KernelCase> kernel_cases(const nn::StepGraph& graph,
                                     const mil::TensorMap<double>& tensors) {
  std::vector<KernelCase> cases;
  for (const nn::Call& call : graph.calls) {
    KernelCase kernel{&graph.kernels[static_cast<std::size_t>(call.kernel)], {}};
    for (const auto& port : call.inputs) kernel.inputs[port.local] = tensors.at(port.global);
    cases.push_back(std::move(kernel));
  }
  return cases;
}

void check_layer(std::string_view partition, std::int64_t seq, DType dtype,
                 engine::ProductPrecision products) {
  const LayerCase layer(small_config(seq, dtype), 7);
  mil::ConstantSource constants(&layer.weights);
  const nn::StepGraph graph = nn::layer_step(layer.config, partition);
  const StepValues<double> step = evaluate_step(graph, layer.inputs, constants);
  const std::vector<CpuSetup> setups = cpu_setups();
  OracleOptions oracle;
  oracle.bf16_products = products == engine::ProductPrecision::bf16;
  for (const KernelCase& kernel : kernel_cases(graph, step.tensors)) {
    const mil::Function& function = kernel.kernel->program.main();
    const Expected expected = expect(function, kernel.inputs, constants, oracle);
    for (const CpuSetup& setup : setups) {
      for (const bool packed : {false, true}) {
        if (packed && kernel.kernel->host) continue;  // glue has ports of several kinds
        engine::CompileOptions options;
        options.name = kernel.kernel->name;
        options.weights = &layer.weights;
        options.products = products;
        options.pack_io = packed;
        const auto actual = run_on_engine(*setup.engine, function, kernel.inputs, options);
        expect_close(actual, expected,
                     options.name + (packed ? ", packed, on " : " on ") + setup.name);
      }
    }
  }
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

TEST(CpuLayer, NothingFallsBackToTheReference) {
  const LayerCase layer(small_config(8, DType::fp16), 7);
  const auto engine = cpu_engine(Isa::plain, 1);
  for (const nn::Partition& partition : nn::partitions()) {
    for (const nn::Kernel& kernel : nn::layer_step(layer.config, partition.name).kernels) {
      engine::CompileOptions options;
      options.weights = &layer.weights;
      const auto executable = engine->compile(kernel.program.main(), options);
      const std::string text = executable->explain();
      EXPECT_NE(text.find("reference evaluations 0"), std::string::npos) << text;
      EXPECT_EQ(text.find("copy of"), std::string::npos) << text;
    }
  }
}

}  // namespace
}  // namespace anemone::test

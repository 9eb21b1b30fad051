// An exported program loads again and computes the same, from its own files alone.
#include "anemone/mil/export.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "anemone/mil/builder.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/passes/pack_io.h"
#include "tests/support/default_layer.h"
#include "tests/support/step_evaluator.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

class Export : public testing::Test {
 protected:
  TemporaryDirectory temporary;
  const std::filesystem::path& folder = temporary.path();
};

TEST_F(Export, EvaluatesToTheSame) {
  for (const DType dtype : {DType::fp16, DType::fp32}) {
    const LayerCase layer(small_layer(12, 20, 7, dtype), 9);
    mil::ConstantSource constants(&layer.weights);
    const nn::StepGraph graph = nn::layer_step(layer.config, "six");
    const auto step = evaluate_step(graph, layer.inputs, constants);
    for (const nn::Call& call : graph.calls) {
      const nn::Kernel& kernel = graph.kernels[static_cast<std::size_t>(call.kernel)];
      const auto directory = folder / dtype_name(dtype) / kernel.name;
      const Status status = mil::export_program(kernel.program, constants, directory);
      ASSERT_TRUE(status.ok()) << status.message;

      const mil::Program loaded = mil::load_program(directory / "model.mil");
      mil::ConstantSource files(nullptr, directory);
      mil::TensorMap<double> inputs;
      for (const auto& port : call.inputs) inputs[port.local] = step.tensors.at(port.global);
      const auto outputs = mil::evaluate(loaded.main(), inputs, files);
      for (const auto& port : call.outputs) {
        EXPECT_EQ(outputs.at(port.local), step.tensors.at(port.global))
            << kernel.name << " " << port.local;
      }
    }
  }
}

TEST_F(Export, WritesWeightsAndMaskUnderTheirNames) {
  const LayerCase layer(small_layer(12, 20, 7, DType::fp16), 9);
  mil::ConstantSource constants(&layer.weights);
  auto kernels = nn::layer_kernels(layer.config, "six");
  const auto files_of = [&](nn::Kernel& kernel) {
    mil::pack_io(kernel.program.main(), kernel.name);
    EXPECT_TRUE(mil::export_program(kernel.program, constants, folder / kernel.name).ok());
    std::vector<std::string> files;
    if (!std::filesystem::exists(folder / kernel.name / "weights")) return files;
    for (const auto& entry :
         std::filesystem::directory_iterator(folder / kernel.name / "weights")) {
      files.push_back(entry.path().filename());
    }
    std::sort(files.begin(), files.end());
    return files;
  };
  using Files = std::vector<std::string>;
  EXPECT_EQ(files_of(kernels[0]), (Files{"l0.norm1.bin", "l0.wk.bin", "l0.wo.bin", "l0.wq.bin",
                                         "l0.wv.bin", "mask.bin"}));
  EXPECT_EQ(files_of(kernels[2]), (Files{"l0.w1_t.bin", "l0.w2_t.bin", "l0.w3_t.bin"}));
  EXPECT_EQ(files_of(kernels[4]), Files{});
  EXPECT_FALSE(std::filesystem::exists(folder / kernels[4].name / "weights"));
}

TEST_F(Export, AWeightUsedTwiceIsWrittenOnce) {
  const LayerCase layer(small_layer(12, 20, 7, DType::fp16), 9);
  mil::ConstantSource constants(&layer.weights);
  mil::Program program;
  mil::Builder b(program);
  const auto type = mil::Type::tensor(DType::fp16, {1, 12, 1, 1});
  const auto x = b.input("x", type);
  const auto once = b.mul({{"x", x}, {"y", b.weight({"l0.norm1"}, type)}});
  b.output(b.add({{"x", once}, {"y", b.weight({"l0.norm1"}, type)}}), "y");
  ASSERT_TRUE(mil::export_program(program, constants, folder).ok());
  const auto files = std::filesystem::directory_iterator(folder / "weights");
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(Export, ReportsWhatItCannotWrite) {
  const LayerCase layer(small_layer(12, 20, 7, DType::fp16), 9);
  mil::ConstantSource constants(&layer.weights);
  const auto kernels = nn::layer_kernels(layer.config, "six");
  const Status status = mil::export_program(kernels[0].program, constants, "/dev/null/model");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.message, "/dev/null: is not a folder");
}

}  // namespace
}  // namespace anemone::test

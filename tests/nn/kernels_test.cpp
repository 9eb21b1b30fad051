// The kernels' interfaces: names, order and, packed, the channel counts of the original program;
// and that packing keeps what a program computes.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "anemone/base/error.h"
#include "anemone/mil/passes/pack_io.h"
#include "anemone/mil/verifier.h"
#include "anemone/nn/layer.h"
#include "tests/support/default_layer.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

std::string ports(const mil::Function& function, const std::vector<mil::Value>& values) {
  std::string names;
  for (const mil::Value value : values)
    names += (names.empty() ? "" : " ") + function.name_of(value);
  return names;
}

struct Interface {
  std::string name, inputs, outputs;
  std::int64_t channels_in, channels_out;
};

TEST(Kernels, PackedInterfaceOfTheDefaultLayer) {
  const std::vector<Interface> expected = {
      {"l0.fwd_attn", "x", "o q k v attn xnorm", 768, 4608},
      {"l0.fwd_ffn", "x2", "y h1 h3 gate x2norm", 768, 7680},
      {"l0.ffn_bwd", "dy h1 h3", "dx2norm dh1 dh3", 4864, 4864},
      {"l0.sdpa_bwd1", "q k v dx2", "dv probs dp", 3072, 13056},
      {"l0.sdpa_bwd2", "probs dp q k", "dq dk", 13824, 1536},
      {"l0.qkv_bwd", "dq dk dv", "dxnorm", 2304, 768},
  };
  auto kernels = nn::layer_kernels(default_layer(), "six");
  ASSERT_EQ(kernels.size(), expected.size());
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    mil::Function& function = kernels[i].program.main();
    EXPECT_EQ(kernels[i].name, expected[i].name);
    EXPECT_EQ(ports(function, function.inputs), expected[i].inputs);
    EXPECT_EQ(ports(function, function.outputs), expected[i].outputs);

    const mil::PackedLayout layout = mil::pack_io(function, kernels[i].name);
    mil::verify_or_throw(kernels[i].program, kernels[i].name);
    EXPECT_EQ(layout.input_channels, expected[i].channels_in);
    EXPECT_EQ(layout.output_channels, expected[i].channels_out);
    ASSERT_EQ(function.inputs.size(), 1U);
    ASSERT_EQ(function.outputs.size(), 1U);
    const auto type = [](std::int64_t channels) {
      return mil::Type::tensor(DType::fp16, {1, channels, 1, 512});
    };
    EXPECT_EQ(function.type(function.inputs[0]), type(expected[i].channels_in)) << kernels[i].name;
    EXPECT_EQ(function.type(function.outputs[0]), type(expected[i].channels_out))
        << kernels[i].name;
  }
}

TEST(Kernels, MergedHasOneForTheBackwardPassOfAttention) {
  const auto kernels = nn::layer_kernels(default_layer(), "merged");
  ASSERT_EQ(kernels.size(), 4U);
  const mil::Function& function = kernels[3].program.main();
  EXPECT_EQ(kernels[3].name, "l0.attn_bwd");
  EXPECT_EQ(ports(function, function.inputs), "q k v dx2");
  EXPECT_EQ(ports(function, function.outputs), "dq dk dv dxnorm");
}

TEST(Kernels, UnknownPartitionNamesThoseThereAre) {
  try {
    nn::layer_step(small_layer(12, 20, 7), "seven");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("six, merged"), std::string::npos) << error.what();
  }
}

TEST(Kernels, AllVerify) {
  for (const DType dtype : {DType::fp16, DType::fp32}) {
    for (const nn::Partition& partition : nn::partitions()) {
      nn::ModelConfig config = small_layer(12, 20, 7);
      config.dtype = dtype;
      for (const nn::Kernel& kernel : nn::layer_step(config, partition.name).kernels) {
        EXPECT_NO_THROW(mil::verify_or_throw(kernel.program, kernel.name));
      }
    }
  }
}

// Every tensor is written before it is read, once, and the gradients name tensors of the right
// size.
TEST(StepGraph, IsWiredWhole) {
  for (const nn::Partition& partition : nn::partitions()) {
    nn::ModelConfig config = small_layer(12, 20, 7);
    config.layers = 3;
    const nn::StepGraph graph = nn::layer_step(config, partition.name);
    std::map<std::string, mil::Type> written = {
        {graph.input, mil::Type::tensor(DType::fp16, {1, 12, 1, 7})},
        {graph.target, mil::Type::tensor(DType::fp16, {1, 12, 1, 7})},
        {graph.loss_scale, mil::Type::tensor(DType::fp32, {1, 1, 1, 1})}};
    std::map<std::string, Shape> parameters;
    for (const nn::ParameterSpec& spec : graph.parameters) parameters[spec.name] = spec.shape;
    std::set<std::string> kernels;
    for (const nn::Call& call : graph.calls) {
      const nn::Kernel& kernel = graph.kernels.at(static_cast<std::size_t>(call.kernel));
      EXPECT_TRUE(kernels.insert(kernel.name).second) << kernel.name;
      const mil::Function& function = kernel.program.main();
      ASSERT_EQ(call.inputs.size(), function.inputs.size());
      ASSERT_EQ(call.outputs.size(), function.outputs.size());
      for (std::size_t i = 0; i < call.inputs.size(); ++i) {
        if (const auto weight = parameters.find(call.inputs[i].global);
            weight != parameters.end()) {  // the host writes it
          EXPECT_EQ(function.type(function.inputs[i]).shape.elements(), weight->second.elements());
          continue;
        }
        ASSERT_TRUE(written.count(call.inputs[i].global))
            << kernel.name << " reads " << call.inputs[i].global;
        EXPECT_EQ(written.at(call.inputs[i].global), function.type(function.inputs[i]))
            << call.inputs[i].global;
      }
      for (std::size_t i = 0; i < call.outputs.size(); ++i) {
        EXPECT_TRUE(
            written.emplace(call.outputs[i].global, function.type(function.outputs[i])).second)
            << call.outputs[i].global << " is written twice";
      }
    }
    for (const std::string& name : {graph.loss, graph.output, graph.input_gradient})
      EXPECT_TRUE(written.count(name));

    EXPECT_EQ(graph.weight_gradients.size() + graph.direct_gradients.size(), parameters.size());
    for (const nn::WeightGradient& gradient : graph.weight_gradients) {
      EXPECT_EQ(written.at(gradient.dy).shape[1], parameters.at(gradient.parameter)[0])
          << gradient.parameter;
      EXPECT_EQ(written.at(gradient.x).shape[1], parameters.at(gradient.parameter)[1])
          << gradient.parameter;
    }
    for (const nn::DirectGradient& gradient : graph.direct_gradients) {
      EXPECT_EQ(written.at(gradient.tensor).dtype, DType::fp32)
          << "a sum over positions is not rounded to fp16";
      EXPECT_EQ(written.at(gradient.tensor).shape.elements(),
                parameters.at(gradient.parameter).elements());
    }
  }
}

// Puts named tensors into the packed input, or reads them out of the packed output.
mil::TensorMap<double> unpack(const std::vector<double>& packed,
                              const std::vector<mil::PackedPort>& layout, std::int64_t positions) {
  mil::TensorMap<double> named;
  for (const mil::PackedPort& port : layout) {
    const auto begin = packed.begin() + port.channel * positions;
    named[port.name].assign(begin, begin + port.channels * positions);
  }
  return named;
}

TEST(PackIo, KeepsWhatIsComputed) {
  const LayerCase layer(small_layer(12, 20, 7), 1);
  mil::ConstantSource constants(&layer.weights);
  const nn::StepGraph graph = nn::layer_step(layer.config, "six");
  const auto step = evaluate_step(graph, layer.inputs, constants);
  int packed_kernels = 0;
  for (const nn::Call& call : graph.calls) {
    const nn::Kernel& kernel = graph.kernels[static_cast<std::size_t>(call.kernel)];
    if (kernel.host) continue;
    ++packed_kernels;
    mil::Program program = kernel.program;
    const mil::PackedLayout layout = mil::pack_io(program.main(), kernel.name);
    const mil::Function& function = program.main();

    std::vector<double> packed;
    for (std::size_t i = 0; i < call.inputs.size(); ++i) {
      EXPECT_EQ(layout.inputs[i].name, call.inputs[i].local);
      const std::vector<double>& values = step.tensors.at(call.inputs[i].global);
      packed.insert(packed.end(), values.begin(), values.end());
    }
    const std::string input = function.name_of(function.inputs[0]);
    const std::string output = function.name_of(function.outputs[0]);
    EXPECT_EQ(input, call.inputs.size() == 1 ? call.inputs[0].local : mil::kPackedInput);
    EXPECT_EQ(output, call.outputs.size() == 1 ? call.outputs[0].local : mil::kPackedOutput);
    const auto result = mil::evaluate<double>(function, {{input, packed}}, constants);
    const auto named = unpack(result.at(output), layout.outputs, layer.config.seq);
    for (const auto& port : call.outputs) {
      EXPECT_EQ(named.at(port.local), step.tensors.at(port.global))
          << kernel.name << " " << port.local;
    }
  }
  EXPECT_EQ(packed_kernels, 6);
}

TEST(PackIo, TooManyChannelsNamesKernelTensorsAndNumbers) {
  nn::ModelConfig config = small_layer(12, 20, 7);
  config.dim = 48;
  config.heads = 24;
  config.seq = 1400;
  auto kernels = nn::layer_kernels(config, "six");
  try {
    mil::pack_io(kernels[3].program.main(), kernels[3].name);
    FAIL() << "packed";
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("l0.sdpa_bwd1"), std::string::npos) << what;
    EXPECT_NE(what.find("packed output would have 67248 channels (dv 48 + probs 33600 + dp 33600)"),
              std::string::npos)
        << what;
    EXPECT_NE(what.find("65536"), std::string::npos) << what;
  }
}

TEST(PackIo, PortsOfAnotherKindStayApart) {
  auto graph = nn::layer_step(small_layer(12, 20, 7), "six");
  for (nn::Kernel& kernel : graph.kernels) {
    if (kernel.name != "l0.loss") continue;
    mil::Function& function = kernel.program.main();
    const mil::PackedLayout layout = mil::pack_io(function, kernel.name);
    mil::verify_or_throw(kernel.program, kernel.name);
    EXPECT_EQ(ports(function, function.inputs), "x_packed loss_scale");
    EXPECT_EQ(ports(function, function.outputs), "y_packed loss");
    EXPECT_EQ(layout.inputs.back().buffer, 1);  // loss_scale
    EXPECT_EQ(layout.inputs.back().channels, 0);
    EXPECT_EQ(layout.outputs[1].buffer, 1);    // loss
    EXPECT_EQ(layout.outputs[2].channel, 12);  // dy
    EXPECT_EQ(layout.input_channels, 36);
  }
}

}  // namespace
}  // namespace anemone::test

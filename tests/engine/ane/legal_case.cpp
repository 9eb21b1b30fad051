// See legal_case.h.
#include "tests/engine/ane/legal_case.h"

#include <gtest/gtest.h>

#include <random>

#include "anemone/base/element.h"
#include "anemone/engine/ane/legal_folder.h"
#include "anemone/mil/parser.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

using engine::ane::LegalBuffer;
using engine::ane::LegalFunction;
using engine::ane::LegalizedProgram;
using engine::ane::LegalPort;

// Where a port's elements lie in its buffer: channels are the second axis of [1, C, 1, S].
std::size_t offset_of(const LegalPort& port, const LegalBuffer& buffer) {
  if (port.channel == 0) return 0;
  const std::int64_t per_channel = buffer.type.shape.elements() / buffer.type.shape[1];
  return static_cast<std::size_t>(port.channel * per_channel);
}

}  // namespace

mil::TensorMap<double> evaluate_legal(const LegalizedProgram& legal, std::string_view name,
                                      const mil::TensorMap<double>& inputs,
                                      const mil::WeightStore* weights) {
  const TemporaryDirectory folder;
  mil::ConstantSource constants(weights);
  const Status status = engine::ane::write_model_folder(legal, constants, folder.path());
  EXPECT_TRUE(status.ok()) << status.message;
  const mil::Program program = mil::load_program(folder.path() / "model.mil");
  const LegalFunction* function = nullptr;
  for (const LegalFunction& candidate : legal.functions)
    if (candidate.name == name) function = &candidate;
  EXPECT_NE(function, nullptr) << name;

  mil::TensorMap<double> buffers;
  for (const LegalBuffer& buffer : function->input_buffers)
    buffers[buffer.name].resize(static_cast<std::size_t>(buffer.type.shape.elements()));
  for (const LegalPort& port : function->inputs) {
    const LegalBuffer& buffer = function->input_buffers[static_cast<std::size_t>(port.buffer)];
    const std::vector<double>& values = inputs.at(port.name);
    std::copy(
        values.begin(), values.end(),
        buffers.at(buffer.name).begin() + static_cast<std::ptrdiff_t>(offset_of(port, buffer)));
  }
  mil::ConstantSource files(nullptr, folder.path());
  const auto results = mil::evaluate(*program.find(name), buffers, files);

  mil::TensorMap<double> outputs;
  for (const LegalPort& port : function->outputs) {
    const LegalBuffer& buffer = function->output_buffers[static_cast<std::size_t>(port.buffer)];
    const auto begin =
        results.at(buffer.name).begin() + static_cast<std::ptrdiff_t>(offset_of(port, buffer));
    outputs[port.name].assign(begin, begin + port.type.shape.elements());
  }
  return outputs;
}

mil::TensorMap<double> random_inputs(const mil::Function& function, double low, double high) {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> uniform(low, high);
  mil::TensorMap<double> inputs;
  for (const mil::Value input : function.inputs) {
    std::vector<double>& values = inputs[function.name_of(input)];
    values.resize(static_cast<std::size_t>(function.type(input).shape.elements()));
    for (double& value : values) value = round_to(DType::fp16, uniform(random));
  }
  return inputs;
}

}  // namespace anemone::test

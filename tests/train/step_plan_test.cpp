// Memory of a step: random graphs with random layouts are planned, then played through on plain
// memory in which every call checks that it reads what was written.
#include "anemone/train/step_plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "anemone/base/error.h"

namespace anemone::train {
namespace {

constexpr std::int64_t kSeq = 3;

engine::Port make_port(const std::string& name, std::int64_t channels, int buffer,
                       std::size_t offset, std::int64_t row) {
  engine::Port port;
  port.name = name;
  port.dtype = DType::fp32;
  port.shape = {1, channels, 1, kSeq};
  port.strides = {channels * row, row, row, 1};
  port.offset_bytes = offset;
  port.buffer = buffer;
  return port;
}

// One buffer a port, or one for all; rows of `row` elements.
void add_ports(const std::vector<std::pair<std::string, std::int64_t>>& named, bool packed,
               std::int64_t row, std::vector<engine::Port>& ports,
               std::vector<engine::BufferSpec>& buffers) {
  std::size_t offset = 0;
  for (const auto& [name, channels] : named) {
    const auto bytes = static_cast<std::size_t>(channels * row) * sizeof(float);
    const int buffer = packed ? 0 : static_cast<int>(buffers.size());
    ports.push_back(make_port(name, channels, buffer, packed ? offset : 0, row));
    offset += bytes;
    if (!packed) buffers.push_back({name, bytes});
  }
  if (packed && !named.empty()) buffers.push_back({"packed", offset});
}

struct Case {
  nn::StepGraph graph;
  std::vector<KernelPorts> kernels;
};

std::int64_t channels_of(const std::string& global) {
  return 1 + static_cast<std::int64_t>(std::hash<std::string>()(global) % 4);
}

// Calls read tensors of earlier calls, of the host and parameters, and write new ones.
Case random_case() {
  Case made;
  std::vector<std::string> written = {made.graph.input, made.graph.target};
  for (const char* weight : {"weight0", "weight1"}) {
    made.graph.parameters.push_back({weight, {channels_of(weight), kSeq}});
    written.emplace_back(weight);
  }
  const int calls = *rc::gen::inRange(1, 8);
  for (int call = 0; call < calls; ++call) {
    KernelPorts kernel;
    kernel.host = *rc::gen::arbitrary<bool>();
    nn::Call wired;
    wired.kernel = call;
    std::vector<std::pair<std::string, std::int64_t>> inputs, outputs;
    int local = 0;
    for (const std::string& global : written) {
      if (!*rc::gen::arbitrary<bool>()) continue;
      wired.inputs.push_back({fmt::format("i{}", local), global});
      inputs.emplace_back(fmt::format("i{}", local++), channels_of(global));
    }
    const int results = *rc::gen::inRange(1, 4);
    for (int i = 0; i < results; ++i) {
      const std::string global = fmt::format("t{}.{}", call, i);
      wired.outputs.push_back({fmt::format("o{}", i), global});
      outputs.emplace_back(fmt::format("o{}", i), channels_of(global));
      written.push_back(global);
    }
    add_ports(inputs, *rc::gen::arbitrary<bool>(), kSeq + *rc::gen::inRange(0, 2), kernel.inputs,
              kernel.input_buffers);
    add_ports(outputs, *rc::gen::arbitrary<bool>(), kSeq + *rc::gen::inRange(0, 2), kernel.outputs,
              kernel.output_buffers);
    made.graph.kernels.push_back({fmt::format("k{}", call), {}, kernel.host});
    made.kernels.push_back(std::move(kernel));
    made.graph.calls.push_back(std::move(wired));
  }
  return made;
}

using Memory = std::vector<std::vector<std::byte>>;

std::vector<float> value_of(const std::string& global) {
  std::vector<float> values(static_cast<std::size_t>(channels_of(global) * kSeq));
  auto next = static_cast<float>(std::hash<std::string>()(global) % 100000);
  for (float& value : values) value = next++;
  return values;
}

void write(Memory& memory, const TensorHome& home, const std::string& global) {
  const std::vector<float> values = value_of(global);
  engine::write_port(memory[static_cast<std::size_t>(home.surface)].data(), home.port,
                     std::span<const float>(values));
}

std::vector<float> read(Memory& memory, int surface, const engine::Port& port) {
  std::vector<float> values(static_cast<std::size_t>(port.shape.elements()));
  engine::read_port(memory[static_cast<std::size_t>(surface)].data(), port,
                    std::span<float>(values));
  return values;
}

void play(const Case& made, const StepPlan& plan) {
  Memory memory;
  for (const PlannedSurface& surface : plan.surfaces)
    memory.emplace_back(surface.spec.bytes, std::byte{0xff});
  for (const std::string& name : {made.graph.input, made.graph.target})
    if (plan.tensors.count(name) != 0) write(memory, plan.tensors.at(name), name);
  for (const PlannedWeight& weight : plan.weights) write(memory, weight.place, weight.parameter);
  for (std::size_t call = 0; call < made.graph.calls.size(); ++call) {
    const KernelPorts& kernel = made.kernels[call];
    for (const PlannedCopy& copy : plan.copies) {
      if (copy.call != static_cast<int>(call)) continue;
      for (const PlannedWeight& weight : plan.weights)
        RC_ASSERT(!(copy.from.surface == weight.place.surface &&
                    copy.from.port.name == weight.place.port.name));  // no copy in every step
      const std::vector<float> values = read(memory, copy.from.surface, copy.from.port);
      engine::write_port(memory[static_cast<std::size_t>(copy.to.surface)].data(), copy.to.port,
                         std::span<const float>(values));
    }
    for (std::size_t i = 0; i < kernel.inputs.size(); ++i) {
      const engine::Port& port = kernel.inputs[i];
      const int surface = plan.input_surfaces[call][static_cast<std::size_t>(port.buffer)];
      const PlannedSurface& planned = plan.surfaces[static_cast<std::size_t>(surface)];
      RC_ASSERT(planned.host == kernel.host);
      RC_ASSERT(planned.spec.bytes >=
                kernel.input_buffers[static_cast<std::size_t>(port.buffer)].bytes);
      RC_ASSERT(read(memory, surface, port) == value_of(made.graph.calls[call].inputs[i].global));
    }
    for (std::size_t i = 0; i < kernel.outputs.size(); ++i) {
      const engine::Port& port = kernel.outputs[i];
      const int surface = plan.output_surfaces[call][static_cast<std::size_t>(port.buffer)];
      write(memory, {surface, port}, made.graph.calls[call].outputs[i].global);
    }
  }
  // Nothing was overwritten: weight gradients read late.
  for (const auto& [name, home] : plan.tensors)
    RC_ASSERT(read(memory, home.surface, home.port) == value_of(name));
}

RC_GTEST_PROP(StepPlan, EveryCallReadsWhatWasWritten, ()) {
  const Case made = random_case();
  play(made, plan_step(made.graph, made.kernels));
}

RC_GTEST_PROP(StepPlan, IsAFunctionOfItsArguments, ()) {
  const Case made = random_case();
  const StepPlan a = plan_step(made.graph, made.kernels), b = plan_step(made.graph, made.kernels);
  RC_ASSERT(a.input_surfaces == b.input_surfaces);
  RC_ASSERT(a.output_surfaces == b.output_surfaces);
  RC_ASSERT(a.copies.size() == b.copies.size());
  RC_ASSERT(a.bytes() == b.bytes());
}

// A chain of kernels of one layout, each reading all that came before.
Case chain(bool packed) {
  Case made;
  std::vector<std::pair<std::string, std::string>> available = {{"x", made.graph.input}};
  for (int call = 0; call < 3; ++call) {
    KernelPorts kernel;
    nn::Call wired;
    wired.kernel = call;
    std::vector<std::pair<std::string, std::int64_t>> inputs, outputs = {{"y", 2}};
    for (const auto& [local, global] : available) {
      wired.inputs.push_back({local, global});
      inputs.emplace_back(local, 2);
    }
    wired.outputs.push_back({"y", fmt::format("t{}", call)});
    available.emplace_back(fmt::format("y{}", call), fmt::format("t{}", call));
    add_ports(inputs, packed, kSeq, kernel.inputs, kernel.input_buffers);
    add_ports(outputs, packed, kSeq, kernel.outputs, kernel.output_buffers);
    made.graph.kernels.push_back({fmt::format("k{}", call), {}, false});
    made.kernels.push_back(std::move(kernel));
    made.graph.calls.push_back(std::move(wired));
  }
  return made;
}

TEST(StepPlan, EqualLayoutsShareMemoryWithoutCopies) {
  const Case made = chain(/*packed=*/false);
  const StepPlan plan = plan_step(made.graph, made.kernels);
  EXPECT_TRUE(plan.copies.empty());
  EXPECT_EQ(plan.surfaces.size(), 4U);  // x and the three results
}

TEST(StepPlan, PackedInputsAreCopiedTogether) {
  const Case made = chain(/*packed=*/true);
  const StepPlan plan = plan_step(made.graph, made.kernels);
  // The first kernel reads x where the host writes it; the second gathers two tensors, the third
  // three.
  EXPECT_EQ(plan.copies.size(), 5U);
}

std::string message_of(const Case& made) {
  try {
    plan_step(made.graph, made.kernels);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(StepPlan, BadGraphsAreRefused) {
  Case unwritten = chain(false);
  unwritten.graph.calls[1].inputs[1].global = "t2";
  EXPECT_NE(message_of(unwritten).find("reads t2, which nothing wrote before"), std::string::npos);

  Case twice = chain(false);
  twice.graph.calls[1].outputs[0].global = "t0";
  EXPECT_NE(message_of(twice).find("writes t0, which was written before"), std::string::npos);

  Case unbound = chain(false);
  unbound.graph.calls[1].inputs.pop_back();
  EXPECT_NE(message_of(unbound).find("is bound to nothing"), std::string::npos);

  Case unknown = chain(false);
  unknown.graph.calls[1].inputs.push_back({"z", "x"});
  EXPECT_NE(message_of(unknown).find("no input is named z"), std::string::npos);

  Case reshaped = chain(true);
  reshaped.kernels[1].inputs[1].shape[1] = 1;
  EXPECT_NE(message_of(reshaped).find("has shape"), std::string::npos);
}

}  // namespace
}  // namespace anemone::train

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

struct PlanCase {
  nn::StepGraph graph;
  std::vector<KernelPorts> kernels;
};

std::int64_t channels_of(const std::string& global) {
  return 1 + static_cast<std::int64_t>(std::hash<std::string>()(global) % 4);
}

// Host operations before a call, on tensors written before it.
void add_host_ops(int stage, std::vector<std::string>& written, nn::StepGraph& graph) {
  using Kind = nn::HostOp::Kind;
  if (*rc::gen::inRange(0, 3) == 0) {
    const std::string name = fmt::format("h{}", stage);
    graph.host_ops.push_back({Kind::embed, stage, name});
    written.push_back(name);
  }
  if (*rc::gen::inRange(0, 5) == 0) {
    const std::string sum = fmt::format("s{}", stage), weight = fmt::format("w{}", stage);
    graph.host_ops.push_back({Kind::join_loss, stage, "", sum, weight});
    written.push_back(sum);
    written.push_back(weight);
  }
  for (const std::string& name : written) {
    if (name[0] != 't' || *rc::gen::inRange(0, 8) != 0 || name == graph.target) continue;
    const bool changes = *rc::gen::arbitrary<bool>();
    graph.host_ops.push_back(
        {changes ? Kind::subtract_targets : Kind::embedding_gradient, stage, name});
  }
}

KernelPorts random_call(int call, std::vector<std::string>& written, nn::Call& wired) {
  KernelPorts kernel;
  kernel.host = *rc::gen::arbitrary<bool>();
  wired.kernel = call;
  std::vector<std::pair<std::string, std::int64_t>> inputs, outputs;
  int local = 0;
  for (const std::string& global : written) {
    if (*rc::gen::inRange(0, 3) != 0) continue;
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
  return kernel;
}

// Calls read tensors of earlier calls, of the host and parameters, and write new ones.
PlanCase random_case() {
  PlanCase made;
  std::vector<std::string> written = {made.graph.input, made.graph.target};
  for (const char* weight : {"weight0", "weight1"}) {
    made.graph.parameters.push_back({weight, {channels_of(weight), kSeq}});
    written.emplace_back(weight);
  }
  const int calls = *rc::gen::inRange(1, 12);
  for (int call = 0; call < calls; ++call) {
    add_host_ops(call, written, made.graph);
    nn::Call wired;
    made.kernels.push_back(random_call(call, written, wired));
    made.graph.kernels.push_back({fmt::format("k{}", call), {}, made.kernels.back().host});
    made.graph.calls.push_back(std::move(wired));
  }
  add_host_ops(calls, written, made.graph);
  for (const std::string& name : written) {
    if (name[0] != 't' || name == made.graph.target || *rc::gen::inRange(0, 4) != 0) continue;
    made.graph.direct_gradients.push_back({"weight0", name});
  }
  made.graph.output = fmt::format("t{}.0", *rc::gen::inRange(0, calls));
  return made;
}

// A step on plain memory: every tensor has a value of its own, which changes when a host operation
// changes it. Whatever a stage reads must be what was written last.
class Play {
 public:
  Play(const PlanCase& made, const StepPlan& plan) : made_(made), plan_(plan) {
    for (const PlannedSurface& surface : plan.surfaces)
      memory_.emplace_back(surface.spec.bytes, std::byte{0xff});
  }

  void run(int gradients_lag) {
    const int end = static_cast<int>(made_.graph.calls.size());
    for (const std::string& name : {made_.graph.input, made_.graph.target}) host_writes(name);
    for (const PlannedWeight& weight : plan_.weights) write(weight.place, weight.parameter);
    for (int stage = 0; stage <= end; ++stage) {
      for (const nn::HostOp& op : made_.graph.host_ops)
        if (op.before_call == stage) run(op);
      if (stage < end) run_call(static_cast<std::size_t>(stage));
      for (const nn::DirectGradient& direct : made_.graph.direct_gradients) {
        const int ready = stage_writing(made_.graph, direct.tensor);
        if (stage >= ready && stage <= ready + gradients_lag) expect_there(direct.tensor);
      }
      for (const auto& [name, version] : versions_) {
        const auto gone = plan_.overwritten.find(name);
        const bool kept = gone == plan_.overwritten.end() || stage < gone->second;
        if (kept && plan_.tensors.count(name) != 0) expect_there(name);
      }
    }
    for (const PlannedWeight& weight : plan_.weights)
      RC_ASSERT(read(weight.place.surface, weight.place.port) == value_of(weight.parameter));
    if (plan_.tensors.count(made_.graph.output) != 0) expect_there(made_.graph.output);
  }

 private:
  std::vector<float> value_of(const std::string& global) const {
    std::vector<float> values(static_cast<std::size_t>(channels_of(global) * kSeq));
    const auto version = versions_.find(global);
    auto next = static_cast<float>(std::hash<std::string>()(global) % 100000 +
                                   (version == versions_.end() ? 0 : 50 * version->second));
    for (float& value : values) value = next++;
    return values;
  }

  void write(const TensorHome& home, const std::string& global) {
    const std::vector<float> values = value_of(global);
    engine::write_port(memory_[static_cast<std::size_t>(home.surface)].data(), home.port,
                       std::span<const float>(values));
  }

  std::vector<float> read(int surface, const engine::Port& port) {
    std::vector<float> values(static_cast<std::size_t>(port.shape.elements()));
    engine::read_port(memory_[static_cast<std::size_t>(surface)].data(), port,
                      std::span<float>(values));
    return values;
  }

  void host_writes(const std::string& name) {
    ++versions_[name];
    if (plan_.tensors.count(name) != 0) write(plan_.tensors.at(name), name);
  }

  void expect_there(const std::string& name) {
    const TensorHome& home = plan_.tensors.at(name);
    RC_ASSERT(read(home.surface, home.port) == value_of(name));
  }

  void run(const nn::HostOp& op) {
    using Kind = nn::HostOp::Kind;
    if (op.kind == Kind::join_loss) {
      host_writes(op.log_sum);
      host_writes(op.weight);
      return;
    }
    if (op.kind != Kind::embed) expect_there(op.tensor);
    if (op.kind != Kind::embedding_gradient) host_writes(op.tensor);
  }

  void run_call(std::size_t call) {
    const KernelPorts& kernel = made_.kernels[call];
    for (const PlannedCopy& copy : plan_.copies) {
      if (copy.call != static_cast<int>(call)) continue;
      for (const PlannedWeight& weight : plan_.weights)
        RC_ASSERT(!(copy.from.surface == weight.place.surface &&
                    copy.from.port.name == weight.place.port.name));  // no copy in every step
      const std::vector<float> values = read(copy.from.surface, copy.from.port);
      engine::write_port(memory_[static_cast<std::size_t>(copy.to.surface)].data(), copy.to.port,
                         std::span<const float>(values));
    }
    for (std::size_t i = 0; i < kernel.inputs.size(); ++i) {
      const engine::Port& port = kernel.inputs[i];
      const int surface = plan_.input_surfaces[call][static_cast<std::size_t>(port.buffer)];
      const PlannedSurface& planned = plan_.surfaces[static_cast<std::size_t>(surface)];
      RC_ASSERT(planned.host == kernel.host);
      RC_ASSERT(planned.spec.bytes >=
                kernel.input_buffers[static_cast<std::size_t>(port.buffer)].bytes);
      RC_ASSERT(read(surface, port) == value_of(made_.graph.calls[call].inputs[i].global));
    }
    // What a call writes must not lie where it reads.
    for (const int output : plan_.output_surfaces[call])
      for (const int input : plan_.input_surfaces[call]) RC_ASSERT(input != output);
    for (std::size_t i = 0; i < kernel.outputs.size(); ++i) {
      const engine::Port& port = kernel.outputs[i];
      const int surface = plan_.output_surfaces[call][static_cast<std::size_t>(port.buffer)];
      const std::string& name = made_.graph.calls[call].outputs[i].global;
      ++versions_[name];
      write({surface, port}, name);
    }
  }

  const PlanCase& made_;
  const StepPlan& plan_;
  std::vector<std::vector<std::byte>> memory_;
  std::map<std::string, int> versions_;  // how often a tensor was written so far
};

RC_GTEST_PROP(StepPlan, EveryStageReadsWhatWasWritten, ()) {
  const PlanCase made = random_case();
  PlanOptions options;
  options.gradients_lag = *rc::gen::inRange(0, 4);
  const StepPlan shared = plan_step(made.graph, made.kernels, options);
  Play(made, shared).run(options.gradients_lag);
  options.keep_all_tensors = true;
  const StepPlan kept = plan_step(made.graph, made.kernels, options);
  RC_ASSERT(kept.overwritten.empty());
  RC_ASSERT(shared.bytes() <= kept.bytes());
  Play(made, kept).run(1000);
}

RC_GTEST_PROP(StepPlan, IsAFunctionOfItsArguments, ()) {
  const PlanCase made = random_case();
  const StepPlan a = plan_step(made.graph, made.kernels), b = plan_step(made.graph, made.kernels);
  RC_ASSERT(a.input_surfaces == b.input_surfaces);
  RC_ASSERT(a.output_surfaces == b.output_surfaces);
  RC_ASSERT(a.copies.size() == b.copies.size());
  RC_ASSERT(a.bytes() == b.bytes());
}

// A chain of kernels of one layout, each reading all that came before.
PlanCase chain(bool packed) {
  PlanCase made;
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
  const PlanCase made = chain(/*packed=*/false);
  const StepPlan plan = plan_step(made.graph, made.kernels);
  EXPECT_TRUE(plan.copies.empty());
  EXPECT_EQ(plan.surfaces.size(), 4U);  // x and the three results, all of which are read to the end
}

// Each kernel reads the one before only: two surfaces serve a chain of any length.
TEST(StepPlan, AChainNeedsTwoSurfaces) {
  PlanCase made = chain(/*packed=*/false);
  for (std::size_t call = 1; call < made.kernels.size(); ++call) {
    auto& inputs = made.graph.calls[call].inputs;
    inputs.erase(inputs.begin(), inputs.end() - 1);
    made.kernels[call].inputs = {make_port(inputs[0].local, 2, 0, 0, kSeq)};
    made.kernels[call].input_buffers.resize(1);
  }
  const StepPlan plan = plan_step(made.graph, made.kernels);
  EXPECT_EQ(plan.surfaces.size(), 2U);
  EXPECT_EQ(plan.overwritten, (std::map<std::string, int, std::less<>>{{"t0", 2}, {"x", 1}}));
  PlanOptions options;
  options.keep_all_tensors = true;
  EXPECT_EQ(plan_step(made.graph, made.kernels, options).surfaces.size(), 4U);
  // A gradient of t0 that may lag behind keeps it.
  made.graph.direct_gradients.push_back({"weight", "t0"});
  options.keep_all_tensors = false;
  options.gradients_lag = 2;
  EXPECT_EQ(plan_step(made.graph, made.kernels, options).overwritten.count("t0"), 0U);
}

TEST(StepPlan, AKeptGapIsNoMemoryForOthers) {
  PlannedSurface rows{{"rows", 256, 64, 16, 2}, false}, plain{{"plain", 128}, false};
  const std::vector<PlannedSurface> wanted = {rows, plain, rows};
  const std::vector<Usage> usage = {{0, 1}, {2, 3}, {4, 5}};
  const SharedSurfaces shared = share_surfaces(wanted, usage);
  EXPECT_EQ(shared.place, (std::vector<int>{0, 1, 0}));
}

TEST(StepPlan, PackedInputsAreCopiedTogether) {
  const PlanCase made = chain(/*packed=*/true);
  const StepPlan plan = plan_step(made.graph, made.kernels);
  // The first kernel reads x where the host writes it; the second gathers two tensors, the third
  // three.
  EXPECT_EQ(plan.copies.size(), 5U);
}

std::string message_of(const PlanCase& made) {
  try {
    plan_step(made.graph, made.kernels);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(StepPlan, HostOperationsOnWrongTensorsAreRefused) {
  using Kind = nn::HostOp::Kind;
  PlanCase unwritten = chain(false);
  unwritten.graph.host_ops = {{Kind::pick_targets, 0, "t0", "t1"}};
  EXPECT_NE(message_of(unwritten).find("reads t0, which nothing wrote before"), std::string::npos);
  PlanCase twice = chain(false);
  twice.graph.host_ops = {{Kind::embed, 1, "t0"}};
  EXPECT_NE(message_of(twice).find("writes t0, which was written before"), std::string::npos);
}

TEST(StepPlan, BadGraphsAreRefused) {
  PlanCase unwritten = chain(false);
  unwritten.graph.calls[1].inputs[1].global = "t2";
  EXPECT_NE(message_of(unwritten).find("reads t2, which nothing wrote before"), std::string::npos);

  PlanCase twice = chain(false);
  twice.graph.calls[1].outputs[0].global = "t0";
  EXPECT_NE(message_of(twice).find("writes t0, which was written before"), std::string::npos);

  PlanCase unbound = chain(false);
  unbound.graph.calls[1].inputs.pop_back();
  EXPECT_NE(message_of(unbound).find("is bound to nothing"), std::string::npos);

  PlanCase unknown = chain(false);
  unknown.graph.calls[1].inputs.push_back({"z", "x"});
  EXPECT_NE(message_of(unknown).find("no input is named z"), std::string::npos);

  PlanCase reshaped = chain(true);
  reshaped.kernels[1].inputs[1].shape[1] = 1;
  EXPECT_NE(message_of(reshaped).find("has shape"), std::string::npos);
}

}  // namespace
}  // namespace anemone::train

// One step: no memory is allocated after the first, parts add up, the background waits where it
// must.
#include "anemone/train/step_runner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <thread>

#include "anemone/base/error.h"
#include "anemone/engine/engines.h"
#include "anemone/nn/language_model.h"
#include "anemone/train/data_source.h"
#include "tests/support/allocation_count.h"
#include "tests/train/fake_engine.h"
#include "tests/train/run_case.h"

namespace anemone::test {
namespace {

// An engine whose programs do nothing, in no memory of their own.
class IdleEngine final : public engine::Engine {
 public:
  explicit IdleEngine(bool on_host) {
    traits_.runs_on_host = on_host;
    traits_.packed_io = !on_host;
  }
  std::string_view name() const override { return "idle"; }
  const engine::EngineTraits& traits() const override { return traits_; }
  engine::Support supports(const mil::Function&) const override { return {}; }
  std::unique_ptr<engine::Surface> make_surface(const engine::BufferSpec& spec) override {
    return std::make_unique<engine::HostSurface>(spec.bytes);
  }
  std::unique_ptr<engine::Executable> compile(const mil::Function& function,
                                              const engine::CompileOptions&) override {
    return std::make_unique<Program>(function, traits_.packed_io);
  }

 private:
  struct Bound final : engine::Binding {
    Status run() override { return {}; }
  };
  class Program final : public engine::Executable {
   public:
    Program(const mil::Function& function, bool packed) {
      add(function, function.inputs, packed, inputs_, input_buffers_);
      add(function, function.outputs, packed, outputs_, output_buffers_);
    }
    std::unique_ptr<engine::Binding> bind(std::span<engine::Surface* const>,
                                          std::span<engine::Surface* const>) override {
      return std::make_unique<Bound>();
    }
    Status update_weights() override { return {}; }
    std::string explain() const override { return "idle\n"; }

   private:
    static void add(const mil::Function& function, const std::vector<mil::Value>& values,
                    bool packed, std::vector<engine::Port>& ports,
                    std::vector<engine::BufferSpec>& buffers) {
      for (const mil::Value value : values) {
        engine::Port port;
        port.name = function.name_of(value);
        port.dtype = function.type(value).dtype;
        port.shape = function.type(value).shape;
        port.strides = contiguous_strides(port.shape);
        if (!packed || buffers.empty()) buffers.push_back({port.name, 0});
        port.buffer = static_cast<int>(buffers.size()) - 1;
        port.offset_bytes = buffers.back().bytes;
        const auto bytes = static_cast<std::size_t>(port.shape.elements()) * dtype_size(port.dtype);
        buffers.back().bytes += (bytes + 63) / 64 * 64;
        ports.push_back(std::move(port));
      }
    }
  };
  engine::EngineTraits traits_;
};

// One step of the tiny config with its sample; with model.vocab a language model's.
struct Step {
  Step(engine::Engine& engine, engine::Engine& host, const std::string& partition,
       bool keep_all_tensors = false, const std::vector<std::string>& overrides = {})
      : config(tiny_config(with_source(overrides))),
        graph(nn::model_step(config.model, partition)),
        parameters(graph) {
    if (config.model.is_language_model()) {
      train::initialize_by_specs(parameters, 42);
      for (std::int64_t i = 0; i <= config.model.seq; ++i)
        sample.tokens.push_back(static_cast<std::uint32_t>(5 * i % config.model.vocab));
    } else {
      train::initialize_original(parameters, 42);
      train::make_data_source(config, host)->training(0, sample);
    }
    train::RunnerOptions options;
    options.threads = 2;
    options.keep_all_tensors = keep_all_tensors;
    runner =
        std::make_unique<train::StepRunner>(std::move(graph), engine, host, parameters, options);
  }
  static std::vector<std::string> with_source(std::vector<std::string> overrides) {
    overrides.emplace_back("data.source=original");
    return overrides;
  }
  train::RunConfig config;
  nn::StepGraph graph;
  train::ParameterList parameters;
  train::Sample sample;
  std::unique_ptr<train::StepRunner> runner;
};

const std::vector<std::string> kLanguageModel = {"model.vocab=11", "model.rope=pairs",
                                                 "model.layers=2"};

// Masks: how many there are, and how many of them take memory.
struct Masks {
  explicit Masks(const nn::StepGraph& graph) {
    for (const nn::Kernel& kernel : graph.kernels)
      for (const mil::Operation& op : kernel.program.main().ops) {
        if (op.constant == nullptr || !op.constant->triangle()) continue;
        ++all;
        in_memory += op.constant->is_in_memory() ? 1 : 0;
      }
  }
  int all = 0, in_memory = 0;
};

// The cpu engine knows a causal mask without its numbers: they are never made.
TEST(StepRunner, CausalMasksTakeNoMemory) {
  for (const char* partition : {"merged", "six", "dynamic"}) {
    for (const bool on_cpu : {true, false}) {
      const auto engine = engine::make_engine(on_cpu ? "cpu" : "reference", {1});
      const train::RunConfig config = tiny_config({"data.source=original"});
      const nn::StepGraph graph = nn::model_step(config.model, partition);
      train::ParameterList parameters(graph);
      train::initialize_original(parameters, 42);
      train::Sample sample;
      train::make_data_source(config, *engine)->training(0, sample);
      train::StepRunner runner(graph, *engine, *engine, parameters, {});
      ASSERT_TRUE(runner.run(sample, 1).status.ok());
      double milliseconds = 0;
      ASSERT_TRUE(runner.update_weights(milliseconds).ok());
      const Masks masks(graph);
      EXPECT_GT(masks.all, 0);
      EXPECT_EQ(masks.in_memory, on_cpu ? 0 : masks.all) << partition;
    }
  }
}

TEST(StepRunner, AllocatesNothingAfterTheFirstStep) {
  for (const bool on_host : {true, false}) {
    for (const auto& model : {std::vector<std::string>(), kLanguageModel}) {
      IdleEngine engine(on_host), host(true);
      Step step(engine, on_host ? static_cast<engine::Engine&>(engine) : host, "six", false, model);
      ASSERT_TRUE(step.runner->run(step.sample, 1).status.ok());
      ASSERT_TRUE(step.runner->finish_gradients().ok());
      const auto before = allocation_count();
      if (!before) GTEST_SKIP() << "allocations are not counted in this build";
      for (int i = 0; i < 3; ++i) {
        const train::StepResult result = step.runner->run(step.sample, 1);
        if (!result.status.ok()) FAIL();
      }
      const bool finished = step.runner->finish_gradients().ok();
      const auto after = allocation_count();
      EXPECT_EQ(after, before) << (on_host ? "inline" : "in the background");
      EXPECT_TRUE(finished);
    }
  }
}

TEST(StepRunner, ValidationLeavesGradientsAlone) {
  const auto engine = engine::make_engine("reference", {1});
  Step step(*engine, *engine, "merged");
  const train::StepResult result = step.runner->run(step.sample, 1, /*accumulate=*/false);
  ASSERT_TRUE(result.status.ok());
  EXPECT_GT(result.loss, 0);
  for (const float value : step.parameters.gradients()) ASSERT_EQ(value, 0);
}

TEST(StepRunner, PartsAddUpToTheStep) {
  const auto engine = engine::make_engine("reference", {1});
  for (const nn::Partition& partition : nn::partitions()) {
    Step step(*engine, *engine, std::string(partition.name));
    const train::StepResult result = step.runner->run(step.sample, 1);
    double milliseconds = 0, flops = 0;
    for (const train::StepPart& part : step.runner->parts()) {
      milliseconds += part.milliseconds;
      flops += part.flops;
    }
    EXPECT_LE(milliseconds, result.times.total);
    EXPECT_DOUBLE_EQ(flops, nn::step_flops(step.config.model, /*causal=*/false).total())
        << partition.name;
  }
}

TEST(StepRunner, ExecutedFlopsLeaveOutWhatIsSkipped) {
  const auto reference = engine::make_engine("reference", {1});
  Step plain(*reference, *reference, "merged");
  const double all = nn::step_flops(plain.config.model, /*causal=*/false).total();
  const double causal = nn::step_flops(plain.config.model, /*causal=*/true).total();
  EXPECT_DOUBLE_EQ(plain.runner->executed_flops(), all);
  const auto best = engine::make_engine("auto", {1});
  Step fast(*best, *best, "merged");
  EXPECT_LE(fast.runner->executed_flops(), all);
  EXPECT_GE(fast.runner->executed_flops(), causal * (1 - 1e-12));
}

TEST(StepRunner, FewerProgramsCountAsCompilesThanGlue) {
  const auto engine = engine::make_engine("reference", {1});
  Step six(*engine, *engine, "six"), merged(*engine, *engine, "merged");
  EXPECT_EQ(six.runner->compiles(), 6);
  EXPECT_EQ(six.runner->compiles_per_update(), 5);  // sdpa_bwd2 has no weights
  EXPECT_EQ(merged.runner->compiles(), 4);
  double milliseconds = 0;
  ASSERT_TRUE(merged.runner->update_weights(milliseconds).ok());
  EXPECT_EQ(merged.runner->compiles(), 8);
}

// Weights that are inputs: an update compiles nothing, and the next step has the new values.
TEST(StepRunner, DynamicWeightsAreWrittenNotCompiled) {
  const auto engine = engine::make_engine("reference", {1});
  FakeEngine fake(*engine);
  fake.change_traits().runs_on_host = false;
  fake.change_traits().packed_io = true;
  Step six(*engine, *engine, "six"), dynamic(fake, *engine, "dynamic");
  EXPECT_EQ(dynamic.runner->compiles(), 6);
  EXPECT_EQ(dynamic.runner->compiles_per_update(), 0);
  for (int update = 0; update < 3; ++update) {
    const train::StepResult a = six.runner->run(six.sample, 1024);
    const train::StepResult b = dynamic.runner->run(dynamic.sample, 1024);
    ASSERT_TRUE(a.status.ok() && b.status.ok()) << a.status.message << b.status.message;
    ASSERT_TRUE(dynamic.runner->finish_gradients().ok());
    EXPECT_EQ(a.loss, b.loss) << update;  // on the reference engine both sum in the same order
    for (Step* step : {&six, &dynamic}) {
      for (const train::Parameter& parameter : step->parameters.all())
        for (std::size_t i = 0; i < parameter.value.size(); ++i)
          parameter.value[i] -= 0.01F * parameter.gradient[i] / 1024;
      double milliseconds = 0;
      ASSERT_TRUE(step->runner->update_weights(milliseconds).ok());
    }
  }
  EXPECT_EQ(dynamic.runner->compiles(), 6);
  EXPECT_EQ(six.runner->compiles(), 6 + 3 * 5);
}

void change(train::Sample& sample) {
  for (float& value : sample.x) value *= 0.9F;
  if (!sample.tokens.empty())
    std::rotate(sample.tokens.begin(), sample.tokens.begin() + 1, sample.tokens.end());
}

// Products that lag far behind: what one reads must not be overwritten before it is done, by the
// next step or by a tensor that takes its place; and nothing else may add to a gradient meanwhile.
void expect_same_beside_a_fast_engine(const std::vector<std::string>& model, bool packed,
                                      bool keep) {
  const auto engine = engine::make_engine("reference", {1});
  Step inline_step(*engine, *engine, "six", keep, model);
  FakeEngine fake(*engine), host(*engine);
  fake.background_read = host.background_read = std::chrono::milliseconds(1);
  fake.change_traits().runs_on_host = false;
  fake.change_traits().packed_io = packed;
  Step background(fake, host, "six", keep, model);
  ASSERT_EQ(background.runner->plan().overwritten.empty(), keep);
  for (int i = 0; i < 4; ++i) {
    for (Step* step : {&inline_step, &background}) {
      ASSERT_TRUE(step->runner->run(step->sample, 1024).status.ok());
      change(step->sample);
    }
  }
  ASSERT_TRUE(background.runner->finish_gradients().ok());
  const auto a = inline_step.parameters.gradients(), b = background.parameters.gradients();
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i], b[i]) << i;
}

TEST(StepRunner, SlowBackgroundProductsAreAwaitedBeforeTheirOperandsChange) {
  for (const auto& model : {std::vector<std::string>{"model.layers=3"}, kLanguageModel}) {
    for (const bool packed : {false, true}) {
      for (const bool keep : {false, true}) expect_same_beside_a_fast_engine(model, packed, keep);
    }
  }
}

// The trace of a step beside a slow engine: products run while the engine does, from the moment
// their operands are there, and the step waits for none of them at its end.
TEST(StepRunner, ProductsOverlapWithASlowEngine) {
  const auto engine = engine::make_engine("reference", {1});
  FakeEngine slow(*engine);
  slow.change_traits().runs_on_host = false;
  slow.on_run = [](const std::string&, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    return Status();
  };
  Step step(slow, *engine, "six");
  ASSERT_TRUE(step.runner->run(step.sample, 1024).status.ok());
  ASSERT_TRUE(step.runner->run(step.sample, 1024).status.ok());
  std::map<std::string, train::StepPart> parts;
  for (const train::StepPart& part : step.runner->parts()) parts[part.name] = part;
  const auto end = [&](const char* name) {
    return parts.at(name).begin + parts.at(name).milliseconds;
  };
  // Gradient, the kernel that gives its last operand, the kernel that runs meanwhile.
  const std::array<const char*, 3> expected[] = {{"dW l0.w1", "l0.ffn_bwd", "l0.sdpa_bwd1"},
                                                 {"dW l0.w3", "l0.ffn_bwd", "l0.sdpa_bwd1"},
                                                 {"dW l0.wo", "l0.norm2_bwd", "l0.sdpa_bwd1"},
                                                 {"dW l0.wq", "l0.sdpa_bwd2", "l0.qkv_bwd"},
                                                 {"dW l0.wk", "l0.sdpa_bwd2", "l0.qkv_bwd"}};
  for (const auto& [gradient, before, meanwhile] : expected) {
    EXPECT_GE(parts.at(gradient).begin, end(before)) << gradient;
    EXPECT_LT(parts.at(gradient).begin, end(meanwhile)) << gradient;
  }
}

// Also where the operand's memory has gone to another tensor meanwhile.
TEST(StepRunner, ANonFiniteOperandIsSeenInTheSameStep) {
  const auto engine = engine::make_engine("reference", {1});
  const std::pair<const char*, const char*> cases[] = {{"dh1", "w1"}, {"dh3", "w3"}};
  for (const auto& [port, parameter] : cases) {
    for (const bool keep : {true, false}) {
      FakeEngine fake(*engine);
      fake.spoils.push_back({"l0.ffn_bwd", port, 1, std::nan("")});
      Step step(fake, fake, "six", keep);
      EXPECT_TRUE(step.runner->run(step.sample, 1024).finite);
      EXPECT_EQ(step.runner->first_non_finite(), "");
      EXPECT_FALSE(step.runner->run(step.sample, 1024).finite);
      const std::string tensor = "l0." + std::string(port) + ", written by l0.ffn_bwd";
      const std::string gradient = "the gradient of l0." + std::string(parameter);
      const std::string named = step.runner->first_non_finite();
      if (keep)
        EXPECT_EQ(named, tensor);
      else
        EXPECT_TRUE(named == tensor || named == gradient) << named;
    }
  }
}

// The reason of a discard must not depend on whether a product ended within its step or later.
TEST(StepRunner, WhatTheBackgroundFindsDoesNotDependOnTiming) {
  const auto engine = engine::make_engine("reference", {1});
  for (const bool slow_engine : {true, false}) {
    SCOPED_TRACE(slow_engine);
    FakeEngine fake(*engine), host(*engine);
    fake.change_traits().runs_on_host = false;
    fake.spoils.push_back({"l0.ffn_bwd", "dh1", 1, std::nan("")});
    const std::chrono::milliseconds wait(5);
    if (slow_engine)
      fake.on_run = [&](const std::string&, int) {
        std::this_thread::sleep_for(wait);
        return Status();
      };
    else
      fake.background_read = host.background_read = wait;
    Step step(fake, host, "six");
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(step.runner->run(step.sample, 1024).finite) << i;
    ASSERT_TRUE(step.runner->finish_gradients().ok());
    EXPECT_EQ(step.runner->first_non_finite(), "the gradient of l0.w1");
    step.runner->begin_gradients();
    EXPECT_EQ(step.runner->first_non_finite(), "");
  }
}

TEST(StepRunner, TensorsThatAreGoneAreNotRead) {
  const auto engine = engine::make_engine("reference", {1});
  Step shared(*engine, *engine, "six"), kept(*engine, *engine, "six", /*keep_all_tensors=*/true);
  EXPECT_LT(shared.runner->memory().surfaces, kept.runner->memory().surfaces);
  for (Step* step : {&shared, &kept})
    ASSERT_TRUE(step->runner->run(step->sample, 1024).status.ok());
  const train::StepPlan& plan = shared.runner->plan();
  ASSERT_FALSE(plan.overwritten.empty());
  EXPECT_TRUE(kept.runner->plan().overwritten.empty());
  for (const auto& tensor : plan.tensors) {
    const std::string& name = tensor.first;
    if (plan.overwritten.count(name) != 0)
      EXPECT_THROW(shared.runner->tensor(name), Error) << name;
    else
      EXPECT_EQ(shared.runner->tensor(name), kept.runner->tensor(name)) << name;
  }
  const auto a = shared.parameters.gradients(), b = kept.parameters.gradients();
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin()));
}

TEST(StepRunner, AFailingProgramIsNamedOnce) {
  const auto engine = engine::make_engine("reference", {1});
  for (const char* message : {"it hung up", "l0.ffn_bwd: it hung up"}) {
    FakeEngine fake(*engine);
    fake.on_run = [&](const std::string& kernel, int) {
      return kernel == "l0.ffn_bwd" ? Status::failure(message) : Status();
    };
    fake.on_update = [&](const std::string& kernel) {
      return kernel == "l0.ffn_bwd" ? Status::failure(message) : Status();
    };
    Step step(fake, fake, "six");
    EXPECT_EQ(step.runner->run(step.sample, 1).status.message, "l0.ffn_bwd: it hung up");
    double milliseconds = 0;
    EXPECT_EQ(step.runner->update_weights(milliseconds).message, "l0.ffn_bwd: it hung up");
  }
}

TEST(StepRunner, ExplainNamesEveryProgramAndProduct) {
  const auto engine = engine::make_engine("reference", {1});
  Step step(*engine, *engine, "six");
  const std::string text = step.runner->explain();
  for (const char* name :
       {"l0.fwd_attn", "l0.sdpa_bwd2", "l0.norm1_bwd", "dW l0.wq", "dW l0.norm2"})
    EXPECT_NE(text.find(name), std::string::npos) << name;
}

}  // namespace
}  // namespace anemone::test

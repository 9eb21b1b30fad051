// The cpu engine as an engine: what it refuses, what it shows, threads, updates of weights.
#include "anemone/engine/cpu/cpu_engine.h"

#include <gtest/gtest.h>

#include "anemone/base/error.h"
#include "anemone/engine/engines.h"
#include "anemone/mil/builder.h"
#include "anemone/mil/random_program.h"
#include "tests/engine/cpu/cpu_setups.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

using mil::Builder;
using mil::Type;
using mil::Value;

TEST(CpuEngine, IsInTheListAndRunsOnTheHost) {
  const auto engine = engine::make_engine("cpu", {.threads = 1});
  EXPECT_EQ(engine->name(), "cpu");
  EXPECT_TRUE(engine->traits().runs_on_host);
  EXPECT_EQ(engine->traits().default_partition, "merged");
  EXPECT_EQ(engine->traits().compile_limit, 0);
}

void expect_refused(const mil::Function& function, const std::string& part) {
  const auto engine = cpu_engine(Isa::plain, 1);
  const engine::Support support = engine->supports(function);
  EXPECT_FALSE(support.ok);
  EXPECT_NE(support.reason.find(part), std::string::npos) << support.reason;
  EXPECT_THROW(engine->compile(function, {}), Error);
}

TEST(CpuEngine, RefusesUnknownDimensions) {
  mil::Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp16, {1, Shape::kUnknown}));
  program.main().outputs.push_back(x);
  expect_refused(program.main(), "not known");
}

TEST(CpuEngine, RefusesTensorsThatAreTooLarge) {
  mil::Program program;
  Builder b(program);
  const std::int64_t side = std::int64_t{1} << 31;
  const Value x = b.input("x", Type::tensor(DType::fp16, {side, side}));
  program.main().outputs.push_back(x);
  expect_refused(program.main(), "too large");
}

TEST(CpuEngine, RefusesWhatNeedsMoreMemoryThanThereIs) {
  mil::Program program;
  Builder b(program);
  const std::int64_t side = std::int64_t{1} << 19;
  const Value x = b.input("x", Type::tensor(DType::fp16, {side, 1}));
  const Value y = b.input("y", Type::tensor(DType::fp16, {1, side}));
  const Value product = b.matmul({{"x", x}, {"y", y}});
  b.output(b.reduce_sum({{"x", product}, {"axes", std::vector<std::int64_t>{0}}}), "z");
  const auto engine = cpu_engine(Isa::plain, 1);
  EXPECT_THROW(engine->compile(program.main(), {}), Error);
}

TEST(CpuEngine, RefusesOperationsThatBreakTheirDefinition) {
  mil::Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp16, {2, 3}));
  const Value y = b.add({{"x", x}, {"y", 1.0}});
  b.output(y, "z");
  program.main().info(y).type = Type::tensor(DType::fp16, {2, 4});
  expect_refused(program.main(), "declared");
}

TEST(CpuEngine, RefusesMissingWeights) {
  mil::Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp16, {1, 4, 1, 8}));
  const Value w = b.weight({.name = "w"}, Type::tensor(DType::fp16, {4, 4, 1, 1}));
  b.output(b.conv({{"x", x}, {"weight", w}}), "y");
  const auto engine = cpu_engine(Isa::plain, 1);
  EXPECT_THROW(engine->compile(program.main(), {}), Error);
  mil::WeightStore store;
  const std::vector<float> values(15);
  store.add("w", {15}, values);
  engine::CompileOptions options;
  options.weights = &store;
  EXPECT_THROW(engine->compile(program.main(), options), Error);
}

TEST(CpuEngine, RefusesSurfacesThatAreTooSmall) {
  mil::Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp32, {64}));
  b.output(b.exp({{"x", x}}), "y");
  const auto engine = cpu_engine(Isa::plain, 1);
  const auto executable = engine->compile(program.main(), {});
  engine::HostSurface in(256), small(252), out(256);
  engine::Surface *inputs[] = {&in}, *too_small[] = {&small}, *outputs[] = {&out};
  EXPECT_THROW(executable->bind(too_small, outputs), Error);
  EXPECT_THROW(executable->bind(inputs, too_small), Error);
  EXPECT_THROW(executable->bind(inputs, {}), Error);
  EXPECT_TRUE(executable->bind(inputs, outputs)->run().ok());
}

TEST(CpuEngine, ExplainsEachStepAndWhatItRefused) {
  mil::Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::int32, {4, 4}));
  const Value y = b.matmul({{"x", x}, {"y", x}});
  b.output(b.cast({{"x", y}, {"dtype", "fp32"}}), "z");
  const auto engine = cpu_engine(Isa::plain, 1);
  engine::CompileOptions options;
  options.name = "whole numbers";
  const std::string text = engine->compile(program.main(), options)->explain();
  EXPECT_NE(text.find("whole numbers: 2 steps"), std::string::npos) << text;
  EXPECT_NE(text.find("reference evaluation, [4, 4]; because matmul: int32 has no fast product"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("reference evaluations 1"), std::string::npos) << text;
}

TEST(CpuEngine, TakesTimesOnlyWhenAsked) {
  mil::Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp32, {64, 64}));
  b.output(b.matmul({{"x", x}, {"y", x}}), "y");
  for (const bool profile : {false, true}) {
    cpu::CpuEngineOptions engine_options;
    engine_options.engine = {.threads = 1, .profile = profile};
    const auto engine = cpu::make_engine(engine_options);
    const auto executable = engine->compile(program.main(), {});
    engine::HostSurface in(64 * 64 * 4), out(64 * 64 * 4);
    engine::Surface *inputs[] = {&in}, *outputs[] = {&out};
    const auto binding = executable->bind(inputs, outputs);
    ASSERT_TRUE(binding->run().ok());
    ASSERT_TRUE(binding->run().ok());
    const auto times = executable->profile();
    ASSERT_EQ(times.size(), profile ? 1U : 0U);
    if (!profile) continue;
    EXPECT_EQ(times[0].runs, 2);
    EXPECT_GT(times[0].seconds, 0);
    EXPECT_EQ(times[0].flops, 2.0 * 64 * 64 * 64);
  }
}

TEST(CpuEngine, UpdatesEveryFormOfAWeight) {
  mil::Program program;
  Builder b(program);
  std::vector<float> values = {1, 2, 3, 4, 5, 6};
  mil::WeightStore store;
  store.add("w", {2, 3}, values);
  const Value x = b.input("x", Type::tensor(DType::fp16, {1, 3, 1, 4}));
  const Value w = b.weight({.name = "w"}, Type::tensor(DType::fp16, {2, 3, 1, 1}));
  const Value t =
      b.weight({.name = "w", .transposed = true}, Type::tensor(DType::fp16, {3, 2, 1, 1}));
  const Value forth = b.conv({{"x", x}, {"weight", w}});
  b.output(b.conv({{"x", forth}, {"weight", t}}), "y");
  b.output(b.mul({{"x", t}, {"y", 2.0}}), "plain");
  mil::TensorMap<double> inputs;
  inputs["x"] = {1, 0, 2, 1, 3, 1, 1, 0, 2, 2, 0, 1};

  const auto engine = cpu_engine(isas_here().back(), 2);
  engine::CompileOptions options;
  options.weights = &store;
  const auto executable = engine->compile(program.main(), options);
  engine::HostSurface in(24), y(24), plain(12);
  engine::Surface *in_surfaces[] = {&in}, *out_surfaces[] = {&y, &plain};
  const auto binding = executable->bind(in_surfaces, out_surfaces);
  {
    const engine::HostAccess access(in, engine::Access::write);
    engine::write_port(access.data(), executable->inputs()[0],
                       std::span<const double>(inputs.at("x")));
  }
  const auto check = [&] {
    mil::ConstantSource constants(&store);
    const auto expected = mil::evaluate<double>(program.main(), inputs, constants);
    ASSERT_TRUE(binding->run().ok());
    std::vector<double> got_y(12), got_plain(6);
    const engine::HostAccess a(y, engine::Access::read), p(plain, engine::Access::read);
    engine::read_port(a.data(), executable->outputs()[0], std::span<double>(got_y));
    engine::read_port(p.data(), executable->outputs()[1], std::span<double>(got_plain));
    EXPECT_EQ(got_y, expected.at("y"));
    EXPECT_EQ(got_plain, expected.at("plain"));
  };
  check();
  for (float& value : values) value = 2 * value - 5;
  ASSERT_TRUE(executable->update_weights().ok());
  check();
}

TEST(CpuEngine, ResultsAreTheSameToTheLastBitForAnyNumberOfThreads) {
  std::vector<std::unique_ptr<engine::Engine>> engines;
  for (int threads = 1; threads <= 4; ++threads)
    engines.push_back(cpu_engine(isas_here().back(), threads));
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    mil::RandomProgram::Options options;
    options.max_dim = 40;
    mil::RandomProgram random(seed, options);
    random.grow();
    const mil::TensorMap<double> inputs = random.inputs();
    const mil::Program program = random.finish();
    const auto one = run_on_engine(*engines[0], program.main(), inputs, {});
    for (std::size_t i = 1; i < engines.size(); ++i)
      EXPECT_EQ(run_on_engine(*engines[i], program.main(), inputs, {}), one) << "seed " << seed;
  }
  // Large enough that work is really divided.
  nn::ModelConfig config;
  config.dim = 96;
  config.hidden = 128;
  config.heads = 4;
  config.seq = 80;
  const LayerCase layer(config, 3);
  const nn::StepGraph graph = nn::layer_step(layer.config, "merged");
  engine::CompileOptions options;
  options.weights = &layer.weights;
  const auto one = run_step_on_engine(*engines[0], graph, layer.inputs, options);
  for (std::size_t i = 1; i < engines.size(); ++i) {
    const auto more = run_step_on_engine(*engines[i], graph, layer.inputs, options);
    EXPECT_EQ(more.tensors, one.tensors) << i + 1 << " threads";
  }
}

}  // namespace
}  // namespace anemone::test

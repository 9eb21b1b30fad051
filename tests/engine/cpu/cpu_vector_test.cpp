// Products with one column or one row on the cpu engine: which of them are done as matrix times
// vector, that they are right on every instruction set, and that weights are updated in place.
#include <gtest/gtest.h>

#include "anemone/engine/engines.h"
#include "anemone/mil/builder.h"
#include "tests/engine/cpu/cpu_setups.h"
#include "tests/engine/oracle.h"
#include "tests/support/allocation_count.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

using mil::Builder;
using mil::Type;
using mil::Value;

// One position through a linear layer with a residual, and a query against a cache of positions
// that two heads share: [positions, heads * channels] as it lies.
struct OnePosition {
  static constexpr std::int64_t kChannels = 70, kHeads = 3, kGroup = 2, kSize = 16, kPositions = 40;
  mil::Program program;
  mil::WeightStore store;
  std::vector<float> weight;
  mil::TensorMap<double> inputs;

  explicit OnePosition(DType dtype) {
    Builder b(program);
    for (std::int64_t i = 0; i < kChannels * kChannels; ++i)
      weight.push_back(static_cast<float>(i % 13 - 6) / 16);
    store.add("w", {kChannels, kChannels}, weight);
    const Value x = b.input("x", Type::tensor(dtype, {1, kChannels, 1, 1}));
    const Value w = b.weight({.name = "w"}, Type::tensor(dtype, {kChannels, kChannels, 1, 1}));
    b.output(b.add({{"x", b.conv({{"x", x}, {"weight", w}})}, {"y", x}}), "y");
    const Value q = b.input("q", Type::tensor(dtype, {kHeads, kGroup, 1, kSize}));
    const Value cache = b.input("cache", Type::tensor(dtype, {1, kPositions, kHeads, kSize}));
    const std::vector<std::int64_t> order = {2, 0, 1, 3};
    const Value keys = b.transpose({{"x", cache}, {"perm", order}});  // [heads, 1, positions, size]
    const Value scores =
        b.matmul({{"x", q}, {"y", keys}, {"transpose_x", false}, {"transpose_y", true}}, "scores");
    b.output(scores, "s");
    b.output(b.matmul({{"x", scores}, {"y", keys}}, "mixed"), "o");
    for (const Value input : program.main().inputs) {
      std::vector<double>& values = inputs[program.main().name_of(input)];
      for (std::int64_t i = 0; i < program.main().type(input).shape.elements(); ++i)
        values.push_back(static_cast<double>((i * 7 + 3) % 17 - 8) / 16);
    }
  }
};

TEST(CpuVectorProducts, AgreeWithTheOracle) {
  for (const DType dtype : {DType::fp16, DType::fp32}) {
    OnePosition one(dtype);
    mil::ConstantSource constants(&one.store);
    const CpuExpected expected(one.program.main(), one.inputs, constants);
    engine::CompileOptions options;
    options.weights = &one.store;
    for (const CpuSetup& setup : cpu_setups()) {
      const auto executable = setup.engine->compile(one.program.main(), options);
      const std::string text = executable->explain();
      const std::string type = dtype_name(dtype);
      EXPECT_NE(text.find(type + " 70x70, packed weight, plus residual"), std::string::npos)
          << text;
      EXPECT_NE(text.find(type + " 40x16 batch=6"), std::string::npos) << text;
      EXPECT_NE(text.find(type + " 16x40 batch=6"), std::string::npos) << text;
      EXPECT_EQ(text.find("gemm"), std::string::npos) << text;
      expect_close(run_on_engine(*setup.engine, one.program.main(), one.inputs, options),
                   expected.of(setup), setup.name);
    }
  }
}

TEST(CpuVectorProducts, ManyVectorsOfOneMatrixAreAProductOfMatrices) {
  mil::Program program;
  Builder b(program);
  const Value x = b.input("x", Type::tensor(DType::fp32, {20, 1, 8}));
  const Value y = b.input("y", Type::tensor(DType::fp32, {1, 8, 8}));
  b.output(b.matmul({{"x", x}, {"y", y}}), "z");
  const auto text = cpu_engine(Isa::plain, 1)->compile(program.main(), {})->explain();
  EXPECT_NE(text.find("because gemv: 20 vectors share the matrix"), std::string::npos) << text;
}

// 16 bits a weight, once: neither the store's fp32 nor another form of it stays.
TEST(CpuVectorProducts, HoldWeightsOnceAndUpdateThemInPlace) {
  OnePosition one(DType::fp16);
  engine::CompileOptions options;
  options.weights = &one.store;
  const auto engine = cpu_engine(isas_here().back(), 2);
  const auto executable = engine->compile(one.program.main(), options);
  EXPECT_EQ(executable->constant_bytes(), 96U * 70 * 2);  // lanes in panels of 32
  std::vector<std::unique_ptr<engine::Surface>> surfaces;
  std::vector<engine::Surface*> in, out;
  for (const engine::Port& port : executable->inputs()) {
    surfaces.push_back(engine->make_surface(executable->input_buffers()[in.size()]));
    in.push_back(surfaces.back().get());
    const engine::HostAccess access(*in.back(), engine::Access::write);
    engine::write_port(access.data(), port, std::span<const double>(one.inputs.at(port.name)));
  }
  for (const engine::BufferSpec& buffer : executable->output_buffers())
    out.push_back(surfaces.emplace_back(engine->make_surface(buffer)).get());
  const auto binding = executable->bind(in, out);
  const auto result = [&] {
    EXPECT_TRUE(binding->run().ok());
    std::vector<double> y(OnePosition::kChannels);
    const engine::HostAccess access(*out[0], engine::Access::read);
    engine::read_port(access.data(), executable->outputs()[0], std::span<double>(y));
    return y;
  };
  const std::vector<double> before = result();
  for (float& value : one.weight) value = -value;
  const auto start = allocation_count();
  ASSERT_TRUE(executable->update_weights().ok());
  EXPECT_EQ(allocation_count(), start);
  const std::vector<double> after = result();
  for (std::size_t i = 0; i < after.size(); ++i) {
    const double x = one.inputs.at("x")[i];
    EXPECT_EQ(after[i] - x, x - before[i]);  // exact: all are few sixteenths of sixteenths
  }
}

}  // namespace
}  // namespace anemone::test

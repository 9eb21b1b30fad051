// A sweep's sizes, what it says of growth, and what memory a layer takes.
#include "anemone/train/sweep_bench.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "anemone/engine/engines.h"
#include "anemone/nn/language_model.h"
#include "anemone/train/step_runner.h"
#include "tests/support/shared.h"
#include "tests/train/run_case.h"

namespace anemone::train {
namespace {

using Axis = SweepSize::Axis;

RunConfig layer() { return load_run_config(test::source_root() / "configs/layer.toml", {}); }

TEST(SweepBench, VariesOneSizeAtATime) {
  const nn::ModelConfig model = layer().model;
  std::set<std::int64_t> seqs, dims, heads;
  for (const SweepSize& size : sweep_sizes(model, false)) {
    heads.insert(size.head_dim);
    (size.axis == Axis::seq ? seqs : dims).insert(size.axis == Axis::seq ? size.seq : size.dim);
    EXPECT_EQ(size.axis == Axis::seq ? size.dim : size.seq,
              size.axis == Axis::seq ? model.dim : model.seq);
    EXPECT_NEAR(static_cast<double>(size.hidden) / static_cast<double>(size.dim), 8.0 / 3, 0.15);
  }
  EXPECT_EQ(seqs, (std::set<std::int64_t>{128, 256, 512, 1024, 2048, 4096}));
  EXPECT_EQ(dims, (std::set<std::int64_t>{256, 512, model.dim, 1024, 2048, 4096}));
  EXPECT_EQ(heads, (std::set<std::int64_t>{64, 128}));
  EXPECT_LT(sweep_sizes(model, true).size(), sweep_sizes(model, false).size());
}

SweepPoint point(Axis axis, std::int64_t size, double milliseconds, double gflop,
                 std::size_t memory, std::int64_t head_dim = 64) {
  SweepPoint p;
  p.size = {axis, axis == Axis::seq ? size : 1, axis == Axis::dim ? size : 1, 1, head_dim};
  p.milliseconds = milliseconds;
  p.gflop = gflop;
  p.tensors = memory;
  return p;
}

TEST(SweepBench, FindsWhatGrowsTooFast) {
  std::vector<SweepPoint> points = {
      point(Axis::seq, 100, 1, 1, 50), point(Axis::seq, 200, 2, 2.5, 100),
      point(Axis::seq, 400, 8, 5, 400),
      // Neither another row nor another width counts.
      point(Axis::dim, 10, 100, 5, 9000), point(Axis::dim, 20, 100, 10, 90000),
      point(Axis::seq, 100, 1000, 1, 900000, 128)};
  EXPECT_DOUBLE_EQ(time_growth(points).worst, 2);
  EXPECT_EQ(time_growth(points).describe, "seq 200 to 400, heads of 64");
  EXPECT_DOUBLE_EQ(memory_growth(points).worst, 2);
  points[2].skipped = "no room";
  EXPECT_DOUBLE_EQ(time_growth(points).worst, 0.8);
  EXPECT_DOUBLE_EQ(memory_growth(points).worst, 1);
  EXPECT_EQ(time_growth({}).describe, "");
}

TEST(SweepBench, SaysWhatItFound) {
  SweepBench bench;
  bench.points = {point(Axis::seq, 100, 1, 1, 50), point(Axis::seq, 200, 3, 2, 100)};
  bench.points.push_back(point(Axis::seq, 400, 0, 0, 0));
  bench.points.back().skipped = "takes too much";
  bench.time = time_growth(bench.points);
  bench.memory = memory_growth(bench.points);
  const std::string text = to_text(bench);
  EXPECT_NE(text.find("Time grows faster than the executed FLOPs: 1.50 times"), std::string::npos)
      << text;
  EXPECT_NE(text.find("Memory grows no faster than the sequence: 1.00 times"), std::string::npos)
      << text;
  EXPECT_NE(text.find("skipped: takes too much"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(to_json(bench));
  EXPECT_EQ(json.at("points").size(), 3U);
  EXPECT_EQ(json.at("points")[2].at("skipped"), "takes too much");
  EXPECT_EQ(json.at("time_growth").at("worst"), 1.5);
}

// Of the default layer, and of longer sequences, in bytes; nothing is run.
StepMemory layer_memory(std::int64_t seq, const char* precision) {
  RunConfig config = layer();
  config.model.seq = seq;
  const auto engine = engine::make_engine("cpu", {2});
  nn::StepGraph graph = nn::model_step(config.model, "merged");
  ParameterList parameters(graph);
  RunnerOptions options;
  options.threads = 2;
  if (std::string(precision) == "bf16") options.compile.products = engine::ProductPrecision::bf16;
  const StepRunner runner(std::move(graph), *engine, *engine, parameters, options);
  return runner.memory();
}

// What a step needs beyond parameters, one packed form of each weight, and named tensors.
TEST(StepMemory, OfTheLayerIsSmall) {
  for (const char* precision : {"fp16", "bf16"}) {
    const StepMemory memory = layer_memory(512, precision);
    const std::size_t beyond = memory.constants - memory.one_form + memory.scratch + memory.host;
    EXPECT_LE(beyond, 24'000'000U) << precision;
    EXPECT_GT(memory.scratch, 0U);
    // Every weight has a form for the forward pass and one for the backward pass, of 16 bits at
    // least.
    const nn::ModelConfig model = layer().model;
    const std::int64_t weights = 4 * model.dim * model.dim + 3 * model.dim * model.hidden;
    EXPECT_GE(memory.one_form, static_cast<std::size_t>(2 * weights)) << precision;
    EXPECT_GE(memory.constants, 2 * memory.one_form - memory.one_form / 50) << precision;
    EXPECT_LE(memory.constants, 2 * memory.one_form + memory.one_form / 50) << precision;
  }
}

// The S x S matrices of attention are never in memory.
TEST(StepMemory, GrowsLinearlyWithTheSequence) {
  const auto bytes = [](std::int64_t seq) {
    const StepMemory memory = layer_memory(seq, "fp16");
    return static_cast<double>(memory.surfaces + memory.scratch + memory.host);
  };
  const double short_one = bytes(512), middle = bytes(1024), long_one = bytes(4096);
  EXPECT_LE(middle, 2.05 * short_one);
  EXPECT_LE(long_one, 4.05 * middle);
}

}  // namespace
}  // namespace anemone::train

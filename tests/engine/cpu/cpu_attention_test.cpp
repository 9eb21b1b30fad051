// Attention fused to one step: which programs are recognized, forms and layouts, what is refused
// and why, and that no S x S matrix is in memory.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "anemone/mil/blob_file.h"
#include "anemone/mil/parser.h"
#include "anemone/nn/blocks.h"
#include "anemone/nn/layer.h"
#include "tests/engine/cpu/fusion_case.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

using mil::Builder;
using mil::Value;

// Channel-first heads as the layer has them; every piece can be left out or replaced.
struct Heads {
  Shape batch = {1, 3};
  Shape shared = {1, 3};  // batch of keys and values
  std::int64_t queries = 33, keys = 33, features = 8;
  bool masked = true;
  DType dtype = DType::fp16;

  Shape shape(const Shape& leading, std::int64_t positions) const {
    Shape result = leading;
    result.push_back(features);
    result.push_back(positions);
    return result;
  }
};

struct Inputs {
  Value q, k, v;
};
Inputs inputs_of(FusionCase& c, const Heads& heads) {
  return {c.input("q", heads.shape(heads.batch, heads.queries)),
          c.input("k", heads.shape(heads.shared, heads.keys)),
          c.input("v", heads.shape(heads.shared, heads.keys))};
}

Value probabilities(FusionCase& c, const Heads& heads, Value q, Value k) {
  Builder& b = c.b;
  const Value scaled = b.mul({{"x", q}, {"y", 0.35}});
  Value scores = b.matmul({{"x", scaled}, {"y", k}, {"transpose_x", true}});
  if (heads.masked) scores = b.add({{"x", scores}, {"y", c.mask(heads.keys, -65504)}});
  return b.softmax({{"x", scores}, {"axis", -1}});
}

Value mixed(Builder& b, Value v, Value probs) {
  return b.matmul({{"x", v}, {"y", probs}, {"transpose_y", true}}, "mixed");
}

TEST(CpuAttention, OfTheLayerIsOneStep) {
  for (const std::int64_t length : {2, 7, 33, 65}) {
    Heads heads;
    heads.queries = heads.keys = length;
    FusionCase c;
    const Inputs in = inputs_of(c, heads);
    c.b.output(mixed(c.b, in.v, probabilities(c, heads, in.q, in.k)), "out");
    const std::string text = c.check();
    EXPECT_TRUE(has(text, ": 1 steps")) << text;
    EXPECT_TRUE(has(text, "causal attention")) << text;
    EXPECT_TRUE(has(text, "no mask")) << text;
  }
}

TEST(CpuAttention, WithoutAMaskAndOfOtherKeys) {
  for (const std::int64_t keys : {1, 50}) {
    Heads heads;
    heads.masked = false;
    heads.keys = keys;
    FusionCase c(DType::fp32);
    const Inputs in = inputs_of(c, heads);
    c.b.output(mixed(c.b, in.v, probabilities(c, heads, in.q, in.k)), "out");
    const std::string text = c.check();
    EXPECT_TRUE(has(text, ": 1 steps")) << text;
    EXPECT_TRUE(has(text, ": attention ")) << text;
  }
}

TEST(CpuAttention, OfQueryHeadsThatShareKeys) {
  for (const Shape& shared : {Shape{2, 1}, Shape{1, 1}, Shape{1}, Shape{}}) {
    Heads heads;
    heads.batch = {2, 3};
    heads.shared = shared;
    FusionCase c;
    const Inputs in = inputs_of(c, heads);
    c.b.output(mixed(c.b, in.v, probabilities(c, heads, in.q, in.k)), "out");
    const std::string text = c.check();
    EXPECT_TRUE(has(text, ": 1 steps")) << text;
  }
}

// As Core ML writes it: [heads, S, head_dim] by transpositions, the scale on the scores, softmax in
// fp32.
TEST(CpuAttention, OfACoreMlTransformer) {
  constexpr std::int64_t kLength = 37, kHeads = 3, kFeatures = 8;
  FusionCase c;
  Builder& b = c.b;
  const auto heads = [&](const char* name) {
    const Value x = c.input(name, {1, kLength, kHeads * kFeatures});
    const Value split = b.reshape({{"x", x}, {"shape", Shape{1, kLength, kHeads, kFeatures}}});
    return b.transpose({{"x", split}, {"perm", std::vector<std::int64_t>{0, 2, 1, 3}}});
  };
  const Value q = heads("q"), k = heads("k"), v = heads("v");
  const Value scores = b.matmul({{"x", q}, {"y", k}, {"transpose_y", true}});
  const Value scaled = b.mul({{"x", 0.35}, {"y", scores}});
  const Value masked = b.add({{"x", c.mask(kLength, -1e4)}, {"y", scaled}});
  const Value wide = b.cast({{"x", masked}, {"dtype", "fp32"}});
  const Value probs = b.cast({{"x", b.softmax({{"x", wide}, {"axis", 3}})}, {"dtype", "fp16"}});
  const Value out = b.matmul({{"x", probs}, {"y", v}});
  const Value back = b.transpose({{"x", out}, {"perm", std::vector<std::int64_t>{0, 2, 1, 3}}});
  b.output(b.reshape({{"x", back}, {"shape", Shape{1, kLength, kHeads * kFeatures}}}), "y");
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 1 steps")) << text;
  EXPECT_TRUE(has(text, "causal attention")) << text;
}

TEST(CpuAttention, RefusesAndSaysWhy) {
  const auto explanation = [](auto change) {
    Heads heads;
    FusionCase c;
    const Inputs in = inputs_of(c, heads);
    heads.masked = false;
    change(c, heads, in);
    return c.check();
  };
  const auto finish = [](FusionCase& c, Value v, Value scores) {
    const Value probs = c.b.softmax({{"x", scores}, {"axis", -1}});
    c.b.output(mixed(c.b, v, probs), "out");
    return probs;
  };
  const auto scores = [](FusionCase& c, const Inputs& in) {
    return c.b.matmul({{"x", in.q}, {"y", in.k}, {"transpose_x", true}}, "scores");
  };
  using Change = const Inputs&;
  std::string text = explanation([&](FusionCase& c, const Heads&, Change in) {
    finish(c, in.v, c.b.add({{"x", scores(c, in)}, {"y", c.mask(33, -5)}}));
  });
  EXPECT_TRUE(has(text, "attention: what is added to the scores is no constant causal mask"));
  text = explanation([&](FusionCase& c, const Heads&, Change in) {
    finish(c, in.v, c.b.add({{"x", scores(c, in)}, {"y", c.input("mask", {33, 33})}}));
  });
  EXPECT_TRUE(has(text, "attention: what is added to the scores is no constant causal mask"));
  text = explanation([&](FusionCase& c, const Heads&, Change in) {
    const Value s = scores(c, in);
    c.b.output(s, "wanted");
    finish(c, in.v, s);
  });
  EXPECT_TRUE(has(text, "attention: 'wanted' is wanted elsewhere, too")) << text;
  text = explanation([&](FusionCase& c, const Heads&, Change in) {
    c.b.output(finish(c, in.v, scores(c, in)), "wanted");
  });
  EXPECT_TRUE(has(text, "attention: the probabilities are wanted elsewhere, too")) << text;
  text = explanation([&](FusionCase& c, const Heads&, Change in) {
    finish(c, in.v, c.b.mul({{"x", scores(c, in)}, {"y", -1.0}}));
  });
  EXPECT_TRUE(has(text, "attention: the scores are not scaled by a positive number")) << text;
  text = explanation([&](FusionCase& c, const Heads&, Change in) {
    finish(c, in.v, c.b.tanh({{"x", scores(c, in)}}));
  });
  EXPECT_TRUE(has(text, "attention: the scores are computed by tanh")) << text;
  Heads heads;
  heads.queries = 1;
  heads.masked = false;
  FusionCase c;
  const Inputs in = inputs_of(c, heads);
  c.b.output(mixed(c.b, in.v, probabilities(c, heads, in.q, in.k)), "out");
  text = c.check();
  EXPECT_TRUE(has(text, "attention: one query is faster as two products with vectors")) << text;
}

// One Q and K for more values, in dimensions that they have or lack: each has its own result.
TEST(CpuAttention, RefusesValuesThatShareProbabilities) {
  for (const Shape& values : {Shape{1, 4}, Shape{4}, Shape{2, 1, 1}}) {
    Heads heads;
    heads.batch = heads.shared = values.rank() == 1 ? Shape{} : Shape{1, 1};
    heads.masked = values.rank() == 2;
    FusionCase c;
    const Value probs =
        probabilities(c, heads, c.input("q", heads.shape(heads.batch, heads.queries)),
                      c.input("k", heads.shape(heads.shared, heads.keys)));
    c.b.output(mixed(c.b, c.input("v", heads.shape(values, heads.keys)), probs), "out");
    const std::string text = c.check();
    EXPECT_TRUE(has(text, "attention: the same probabilities weigh several values")) << text;
  }
}

TEST(CpuAttention, RefusesHeadsWithoutFeatures) {
  const std::string why = "attention: queries, keys or values have no features";
  for (const bool values : {false, true}) {
    Heads scored, valued;
    (values ? valued : scored).features = 0;
    FusionCase c;
    const Value probs =
        probabilities(c, scored, c.input("q", scored.shape(scored.batch, scored.queries)),
                      c.input("k", scored.shape(scored.shared, scored.keys)));
    c.b.output(mixed(c.b, c.input("v", valued.shape(valued.shared, valued.keys)), probs), "out");
    const std::string text = c.check();
    EXPECT_TRUE(has(text, why)) << text;
  }
}

struct Backward {
  Heads heads;
  bool forward = false;  // out, too, from the same probabilities
  bool sum_heads = false;
  bool features_last = false;  // the products written the other way round
};

Value turned(Builder& b, Value x) {
  return b.transpose({{"x", x}, {"perm", std::vector<std::int64_t>{0, 1, 3, 2}}});
}

// dq, dk and dv as the layer's merged kernel computes them.
void build_backward(FusionCase& c, const Backward& options) {
  Builder& b = c.b;
  const Heads& heads = options.heads;
  const Inputs in = inputs_of(c, heads);
  const Value dout = c.input("dout", heads.shape(heads.batch, heads.queries));
  const Value probs = probabilities(c, heads, in.q, in.k);
  const auto result = [&](Value x, const char* name, bool sum) {
    if (sum && options.sum_heads)
      x = b.reduce_sum({{"x", x}, {"axes", std::vector<std::int64_t>{1}}, {"keep_dims", true}});
    b.output(x, name);
  };
  if (options.forward) b.output(mixed(b, in.v, probs), "out");
  const Value dp = b.matmul({{"x", dout}, {"y", in.v}, {"transpose_x", true}});
  const Value weighted = b.mul({{"x", probs}, {"y", dp}});
  const std::vector<std::int64_t> last = {-1};
  const Value sum = b.reduce_sum({{"x", weighted}, {"axes", last}, {"keep_dims", true}});
  const Value ds = b.mul({{"x", b.sub({{"x", dp}, {"y", sum}})}, {"y", probs}});
  const Value scaled_k = b.mul({{"x", in.k}, {"y", 0.35}});
  const Value scaled_q = b.mul({{"x", in.q}, {"y", 0.7}});  // twice what it should be: a factor
  if (options.features_last) {
    const Value rows_k = turned(b, scaled_k), rows_q = turned(b, scaled_q);
    result(b.matmul({{"x", probs}, {"y", turned(b, dout)}, {"transpose_x", true}}), "dv", true);
    result(b.matmul({{"x", ds}, {"y", rows_k}}), "dq", false);
    result(b.matmul({{"x", ds}, {"y", rows_q}, {"transpose_x", true}}), "dk", true);
  } else {
    result(b.matmul({{"x", dout}, {"y", probs}}), "dv", true);
    result(b.matmul({{"x", scaled_k}, {"y", ds}, {"transpose_y", true}}), "dq", false);
    result(b.matmul({{"x", scaled_q}, {"y", ds}}), "dk", true);
  }
}

TEST(CpuAttention, BackwardIsOneStep) {
  for (const std::int64_t length : {2, 33, 70}) {
    for (const bool features_last : {false, true}) {
      Backward options;
      options.heads.queries = options.heads.keys = length;
      options.features_last = features_last;
      FusionCase c;
      build_backward(c, options);
      const std::string text = c.check();
      EXPECT_TRUE(has(text, ": 1 steps")) << text;
      EXPECT_TRUE(has(text, "causal attention backward")) << text;
    }
  }
}

TEST(CpuAttention, BackwardWithoutAMask) {
  Backward options;
  options.heads.masked = false;
  options.heads.keys = 20;
  FusionCase c(DType::fp32);
  build_backward(c, options);
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 1 steps")) << text;
}

TEST(CpuAttention, BackwardSumsOverQueriesThatShareKeys) {
  Backward options;
  options.heads.batch = {2, 3};
  options.heads.shared = {2, 1};
  options.sum_heads = true;
  FusionCase c;
  build_backward(c, options);
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 1 steps")) << text;
}

// Without the sum each query head has a dK and dV of its own.
TEST(CpuAttention, BackwardOfRepeatedKeysWithoutTheirSum) {
  Backward options;
  options.heads.batch = {2, 3};
  options.heads.shared = {2, 1};
  FusionCase c;
  build_backward(c, options);
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 1 steps")) << text;
}

TEST(CpuAttention, BackwardRefusesHeadsWithoutFeatures) {
  Backward options;
  options.heads.features = 0;
  FusionCase c;
  build_backward(c, options);
  const std::string text = c.check();
  EXPECT_TRUE(has(text, "attention_backward: queries, keys or values have no features")) << text;
}

// A sum over heads that do not share keys is not attention's.
TEST(CpuAttention, BackwardRefusesOtherSums) {
  Backward options;
  options.sum_heads = true;
  FusionCase c;
  build_backward(c, options);
  const std::string text = c.check();
  EXPECT_TRUE(has(text, "attention_backward: the sums of dK and dV")) << text;
}

TEST(CpuAttention, ForwardAndBackwardInOneProgramAreTwoSteps) {
  Backward options;
  options.forward = true;
  FusionCase c;
  build_backward(c, options);
  const std::string text = c.check();
  EXPECT_TRUE(has(text, ": 2 steps")) << text;
}

TEST(CpuAttention, WithBf16Products) {
  Backward options;
  options.forward = true;
  FusionCase c;
  build_backward(c, options);
  engine::CompileOptions compile;
  compile.products = engine::ProductPrecision::bf16;
  c.check(compile);
}

// The layer's own kernels, with heads that share keys and with rotary embedding, too.
TEST(CpuAttention, OfTheLayersKernels) {
  for (const std::int64_t kv_heads : {4, 2, 1}) {
    nn::ModelConfig config;
    config.dim = 32;
    config.hidden = 16;
    config.heads = 4;
    config.kv_heads = kv_heads;
    config.seq = 16;
    config.rope = kv_heads == 4 ? nn::Rope::none : nn::Rope::pairs;
    const LayerCase layer(config, 7);
    engine::CompileOptions options;
    options.weights = &layer.weights;
    int found = 0;
    for (const nn::Kernel& kernel : nn::layer_step(layer.config, "merged").kernels) {
      if (kernel.name != "l0.fwd_attn" && kernel.name != "l0.attn_bwd") continue;
      const std::string text =
          cpu_engine(isas_here().back(), 2)->compile(kernel.program.main(), options)->explain();
      EXPECT_TRUE(has(text, "causal attention")) << kernel.name << text;
      EXPECT_FALSE(has(text, "softmax '")) << text;
      ++found;
    }
    EXPECT_EQ(found, 2);
  }
}

std::size_t scratch_of_merged_backward(std::int64_t seq) {
  nn::ModelConfig config;
  config.dim = 64;
  config.hidden = 64;
  config.heads = 2;
  config.seq = seq;
  const LayerCase layer(config, 7);
  for (const nn::Kernel& kernel : nn::layer_step(layer.config, "merged").kernels) {
    if (kernel.name != "l0.attn_bwd") continue;
    engine::CompileOptions options;
    options.weights = &layer.weights;
    return cpu_engine(isas_here().back(), 2)
        ->compile(kernel.program.main(), options)
        ->scratch_bytes();
  }
  ADD_FAILURE() << "no attn_bwd";
  return 0;
}

TEST(CpuAttention, MemoryOfMergedGrowsLinearly) {
  const std::size_t one = scratch_of_merged_backward(1024), two = scratch_of_merged_backward(2048);
  EXPECT_LT(two, 2 * one + one / 10);
  EXPECT_LT(two, 2 * sizeof(f16) * 2048 * 2048);  // one S x S matrix for each head
}

// A real program, with weights of our own: its mask is in a blob file.
TEST(CpuAttention, OfARealProgramWithItsMaskInAFile) {
  ANEMONE_SHARED_OR_SKIP(path, "mil/text/christopherkarani__Espresso__Fixtures__sdpa_fwd_taps.mil");
  const mil::Program program = mil::load_program(path);
  constexpr std::int64_t kDim = 768, kLength = 256;
  const TemporaryDirectory directory;
  std::filesystem::create_directories(directory.path() / "weights");
  std::mt19937 random(3);
  const auto write = [&](const char* name, const Shape& shape, double scale) {
    std::uniform_real_distribution<double> uniform(-scale, scale);
    std::vector<double> values(static_cast<std::size_t>(shape.elements()));
    for (double& value : values) value = uniform(random);
    if (std::string(name) == "mask") {
      for (std::int64_t i = 0; i < kLength * kLength; ++i)
        values[static_cast<std::size_t>(i)] = i % kLength > i / kLength ? -65504 : 0;
    }
    const mil::Constant constant = mil::Constant::numbers(DType::fp16, shape, values);
    mil::BlobWriter file(directory.path() / "weights" / (std::string(name) + ".bin"));
    file.add(DType::fp16, constant.bytes());
    ASSERT_TRUE(file.finish().ok());
  };
  for (const char* name : {"wq", "wk", "wv", "wo"}) write(name, {kDim, kDim}, 0.06);
  write("rms1", {kDim}, 1);
  write("mask", {kLength, kLength}, 0);
  engine::CompileOptions options;
  options.model_directory = directory.path();
  const auto fused = cpu_engine(isas_here().back(), 2);
  const std::string text = fused->compile(program.main(), options)->explain();
  EXPECT_TRUE(has(text, "causal attention")) << text;

  mil::TensorMap<double> inputs;
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double>& x = inputs["x"];
  for (std::int64_t i = 0; i < kDim * kLength; ++i)
    x.push_back(round_to(DType::fp16, uniform(random)));
  // Against arithmetic without any rounding: less is rounded than in single steps.
  mil::TensorMap<std::complex<double>> complex_inputs;
  complex_inputs["x"].assign(x.begin(), x.end());
  mil::ConstantSource constants(nullptr, directory.path());
  const auto exact = mil::evaluate<std::complex<double>>(program.main(), complex_inputs, constants);
  const auto error = [&](engine::Engine& engine) {
    double sum = 0;
    for (const auto& [name, values] : run_on_engine(engine, program.main(), inputs, options)) {
      for (std::size_t i = 0; i < values.size(); ++i)
        sum += std::pow(values[i] - exact.at(name)[i].real(), 2);
    }
    return std::sqrt(sum);
  };
  cpu::CpuEngineOptions without;
  without.disabled_fusions = {"attention"};
  EXPECT_LE(error(*fused), error(*cpu::make_engine(without)));
}

}  // namespace
}  // namespace anemone::test

// The programs of one position, from the blocks of the layer's kernels.
#include "anemone/nn/decode.h"

#include <fmt/format.h>

#include <cmath>

#include "anemone/base/error.h"
#include "anemone/nn/blocks.h"
#include "anemone/nn/kernels.h"
#include "anemone/nn/language_model.h"
#include "anemone/nn/step_assembler.h"

namespace anemone::nn {
namespace {

void build_qkv(KernelBuilder& k) {
  mil::Builder& b = k.b;
  const auto x = k.input("x", k.config.dim);
  RopeTable table;
  if (k.config.rope != Rope::none) {
    table.cos = k.input("cos", k.config.head_dim / 2);
    table.sin = k.input("sin", k.config.head_dim / 2);
  }
  const auto xnorm = rms_norm(b, x, k.norm_weight("norm1"), k.norm_eps);
  auto q = k.linear(xnorm, "wq");
  auto key = k.linear(xnorm, "wk");
  const auto v = k.linear(xnorm, "wv");
  if (k.config.rope != Rope::none) {
    q = rope(b, k.config, q, table);
    key = rope(b, k.config, key, table);
  }
  k.output(q, "q");
  k.output(key, "k");
  k.output(v, "v");
}

void build_ffn(KernelBuilder& k) {
  mil::Builder& b = k.b;
  const auto x = k.input("x", k.config.dim);
  const auto attn = k.input("attn", k.config.q_dim());
  const auto x2 = b.add({{"x", k.linear(attn, "wo")}, {"y", x}}, "x2");
  const auto x2norm = rms_norm(b, x2, k.norm_weight("norm2"), k.norm_eps);
  const auto h1 = k.linear(x2norm, "w1");
  const auto h3 = k.linear(x2norm, "w3");
  const auto gate = swiglu(b, h1, h3);
  k.output(b.add({{"x", k.linear(gate, "w2")}, {"y", x2}}, "sum"), "y");
}

constexpr KernelDef kQkv = {"decode_qkv", false, build_qkv};
constexpr KernelDef kFfn = {"decode_ffn", false, build_ffn};

// A cache [1, 1, T, kv_dim] by heads: [kv_heads, 1, T, head_dim].
mil::Value heads_of(mil::Builder& b, const ModelConfig& config, mil::Value cache) {
  const std::int64_t positions = b.shape(cache)[2];
  const Shape split = {positions, config.kv_heads, 1, config.head_dim};
  const std::vector<std::int64_t> order = {1, 2, 0, 3};
  const std::string name = b.function().name_of(cache);
  const auto heads = b.reshape({{"x", cache}, {"shape", split}}, name + "_split");
  return b.transpose({{"x", heads}, {"perm", order}}, name + "_heads");
}

ModelConfig one_position(const ModelConfig& given) {
  ModelConfig config = given;
  config.resolve();
  if (!config.is_language_model())
    throw Error("a language model needs a vocabulary", "model.vocab", "at least 1 token");
  config.seq = 1;
  return config;
}

}  // namespace

Kernel decode_attention(const ModelConfig& given, std::int64_t positions) {
  const ModelConfig config = one_position(given);
  Kernel kernel{fmt::format("decode_attention{}", positions), {}, false};
  mil::Builder b(kernel.program);
  const auto input = [&](const char* name, const Shape& shape) {
    return b.input(name, mil::Type::tensor(config.dtype, shape));
  };
  const auto q = input("q", {1, config.q_dim(), 1, 1});
  const auto k_cache = input("k_cache", {1, 1, positions, config.kv_dim()});
  const auto v_cache = input("v_cache", {1, 1, positions, config.kv_dim()});
  const auto mask = input("mask", {1, 1, 1, positions});

  const std::int64_t group = config.heads / config.kv_heads;
  const Shape queries_shape = {config.kv_heads, group, 1, config.head_dim};
  const auto queries = b.reshape({{"x", q}, {"shape", queries_shape}}, "queries");
  const double scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  const auto scaled = b.mul({{"x", queries}, {"y", scale}}, "scaled");
  const auto scores = b.matmul({{"x", scaled},
                                {"y", heads_of(b, config, k_cache)},
                                {"transpose_x", false},
                                {"transpose_y", true}},
                               "scores");
  const auto masked = b.add({{"x", scores}, {"y", mask}}, "masked");
  const auto probs = b.softmax({{"x", masked}, {"axis", -1}}, "probabilities");
  const auto mixed = b.matmul({{"x", probs},
                               {"y", heads_of(b, config, v_cache)},
                               {"transpose_x", false},
                               {"transpose_y", false}},
                              "mixed");
  const Shape joined = {1, config.q_dim(), 1, 1};
  b.output(b.reshape({{"x", mixed}, {"shape", joined}}, "joined"), "attn");
  return kernel;
}

DecodeGraph decode_graph(const ModelConfig& given) {
  const ModelConfig config = one_position(given);
  DecodeGraph graph;
  graph.parameters = model_parameters(config);
  graph.parameter_rows = classifier_rows(config);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    graph.layers.push_back({build_layer_kernel(kQkv, config, layer, WeightForm::constants),
                            build_layer_kernel(kFfn, config, layer, WeightForm::constants)});
  }
  graph.norm = build_kernel(kFinalNorm, config, "decode_norm",
                            {{"final_norm", "final_norm", {config.dim}}}, WeightForm::constants);
  for (std::size_t part = 0; part < graph.parameter_rows.size(); ++part) {
    const ParameterRows& rows = graph.parameter_rows[part];
    graph.logits.push_back(build_kernel(kLogits, config, fmt::format("decode_logits{}", part),
                                        {{"classifier", rows.name, {rows.count, config.dim}}},
                                        WeightForm::constants));
  }
  return graph;
}

}  // namespace anemone::nn

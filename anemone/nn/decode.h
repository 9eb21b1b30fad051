// One token through a language model: the programs of generation, with a cache of the keys and
// values of all positions so far.
#pragma once

#include <string>
#include <vector>

#include "anemone/nn/model_config.h"
#include "anemone/nn/step_graph.h"

namespace anemone::nn {

// What a decoder wires, in order of a token's way (D = dim):
//
//   "lI.decode_qkv"   x [1, D, 1, 1], cos and sin [1, head_dim/2, 1, 1] of the token's position
//                     (with rope)  ->  q [1, heads*head_dim, 1, 1], k, v [1, kv_dim, 1, 1]
//   decode_attention  q, k_cache, v_cache [1, 1, T, kv_dim], mask [1, 1, 1, T]  ->  attn
//   "lI.decode_ffn"   x, attn  ->  y
//   "decode_norm"     y, of the last layer  ->  ynorm
//   "decode_logitsP"  ynorm  ->  logits [1, rows, 1, 1] of part P of the vocabulary
//
// Attention is a program of its own because it has no weights: one for a number of positions serves
// all layers, and a short text needs not pay for a long cache. Caches have a row for each position,
// so those of T positions are the beginning of longer ones, and the host adds a token's k and v by
// copying them into its row, before attention. The mask is 0 for the positions up to the token's
// and the lowest fp16 number behind it.
struct DecodeGraph {
  std::vector<ParameterSpec> parameters;
  std::vector<ParameterRows> parameter_rows;
  struct Layer {
    Kernel qkv, ffn;
  };
  std::vector<Layer> layers;
  Kernel norm;
  std::vector<Kernel> logits;  // one for each of parameter_rows
};

// Throws Error as language_model_step does.
DecodeGraph decode_graph(const ModelConfig& config);
Kernel decode_attention(const ModelConfig& config, std::int64_t positions);

// What the mask holds for positions that are not seen.
constexpr double kUnseen = -65504;

// Cosine and sine of the angle by which pair `pair` of a head turns at a position.
struct RopeTurn {
  double cos, sin;
};
RopeTurn rope_turn(const ModelConfig& config, std::int64_t position, std::int64_t pair);

}  // namespace anemone::nn

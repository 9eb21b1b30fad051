// One token through a language model: the programs of generation, with a cache of the keys and
// values of the positions before.
#pragma once

#include <string>
#include <vector>

#include "anemone/nn/model_config.h"
#include "anemone/nn/step_graph.h"

namespace anemone::nn {

// What a decoder wires: kernels in order of a token's way, with these ports (D = dim, T = positions
// of the cache).
//
//   "lI.decode_attn"   x [1, D, 1, 1], k_cache, v_cache [1, kv_dim, 1, T], mask [1, 1, 1, T]: 0 for
//                      positions before the token's, the lowest number for all others, cos and sin
//                      [1, head_dim/2, 1, 1] (with rope)       -> x2 [1, D, 1, 1], k, v [1, kv_dim,
//                      1, 1]
//   "lI.decode_ffn"    x2                                      -> y [1, D, 1, 1]
//   "decode_norm"      x                                       -> xnorm
//   "decode_logitsP"   xnorm                                   -> logits [1, rows, 1, 1], part P
//
// The token's own key and value are not in the cache yet: the kernel adds them itself; the host
// writes k and v into column t of the caches afterwards.
struct DecodeGraph {
  std::vector<ParameterSpec> parameters;
  std::vector<ParameterRows> parameter_rows;
  struct Layer {
    Kernel attn, ffn;
  };
  std::vector<Layer> layers;
  Kernel norm;
  std::vector<Kernel> logits;
};

// `positions`: T. Throws Error as language_model_step does.
DecodeGraph decode_graph(const ModelConfig& config, std::int64_t positions);

}  // namespace anemone::nn

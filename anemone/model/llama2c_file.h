// llama2.c's model files, in their first ("legacy") layout: what stories15M.bin and the like are.
//
// Seven int32, little-endian: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size (negative:
// the classifier is not the embedding), seq_len. Then fp32, every kind of tensor for all layers
// before the next kind: the embedding, norm1, wq, wk, wv, wo, norm2, w1, w2, w3, the final norm,
// two tables of rotary embedding that are computed and not read, the classifier. The embedding
// rotates neighbouring pairs with theta 10000; the norms' epsilon is 1e-5; a head has dim/n_heads
// channels.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "anemone/model/model_file.h"

namespace anemone::model {

// The tensors point into `bytes`. Throws Error, with `name` in it, for bytes that are no such file.
ModelFile parse_llama2c(std::span<const std::byte> bytes, const std::string& name);

// Throws Error for a model that the layout cannot hold.
Status write_llama2c(const std::filesystem::path& path, const nn::ModelConfig& config,
                     const std::vector<NamedTensor>& tensors);

}  // namespace anemone::model

// The shape of a model: the only place where its numbers are.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "anemone/base/dtype.h"

namespace anemone::nn {

// Rotary position embedding: which channels of a head are turned together.
enum class Rope : std::uint8_t {
  none,
  pairs,   // 2i and 2i + 1: the original paper, llama2.c
  halves,  // i and i + head_dim/2: Hugging Face's llama
};

const char* rope_name(Rope rope);  // as configs spell it: "pairs"
std::optional<Rope> find_rope(std::string_view name);

struct ModelConfig {
  std::int64_t dim = 0;       // channels of the residual stream
  std::int64_t hidden = 0;    // channels inside the feed-forward block
  std::int64_t heads = 0;     // query heads
  std::int64_t kv_heads = 0;  // key/value heads; 0 = heads
  std::int64_t head_dim = 0;  // channels of a head; 0 = dim / heads
  std::int64_t layers = 1;
  std::int64_t seq = 0;    // positions in a sequence
  std::int64_t batch = 1;  // sequences in a step
  std::int64_t vocab = 0;  // tokens; 0: layers alone, from activations to activations
  bool tied = true;        // the classifier is the embedding
  Rope rope = Rope::none;
  double rope_theta = 10000;
  double norm_eps = 1e-5;
  DType dtype = DType::fp16;  // element type of programs: fp16 or fp32

  bool is_language_model() const { return vocab > 0; }
  std::int64_t q_dim() const { return heads * head_dim; }
  std::int64_t kv_dim() const { return kv_heads * head_dim; }
  std::int64_t group() const { return heads / kv_heads; }  // query heads of a key/value head

  // Fills in what is 0 and throws Error (naming `model.<key>`) when a number is out of range or
  // this version cannot build it.
  void resolve();
};

}  // namespace anemone::nn

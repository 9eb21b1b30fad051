// The rules of a model's shape, each with an error that names the key of the run config.
#include "anemone/nn/model_config.h"

#include <fmt/format.h>

#include <cmath>

#include "anemone/base/element.h"
#include "anemone/base/error.h"

namespace anemone::nn {
namespace {

// Keeps every product of two sizes far from overflow; memory ends long before. What an engine
// cannot take, it says itself.
constexpr std::int64_t kMaxSize = std::int64_t{1} << 20;
// A step graph holds a few programs a layer: a mistyped count must not fill the memory with them.
constexpr std::int64_t kMaxLayers = 1024;

[[noreturn]] void reject(const char* key, const std::string& what, const std::string& expected) {
  throw Error(what, fmt::format("model.{}", key), expected);
}

void check_size(const char* key, std::int64_t value) {
  if (value == 0) reject(key, "it is 0 or not given", fmt::format("1 to {}", kMaxSize));
  if (value >= 1 && value <= kMaxSize) return;
  reject(key, fmt::format("{} is out of range", value), fmt::format("1 to {}", kMaxSize));
}

void resolve_heads(ModelConfig& config) {
  check_size("heads", config.heads);
  if (config.kv_heads == 0) config.kv_heads = config.heads;
  check_size("kv_heads", config.kv_heads);
  if (config.heads % config.kv_heads != 0) {
    reject("kv_heads",
           fmt::format("{} key/value heads do not divide model.heads = {}", config.kv_heads,
                       config.heads),
           "a divisor of model.heads, or 0 for as many");
  }
  if (config.head_dim == 0) {
    if (config.dim % config.heads != 0) {
      reject("heads",
             fmt::format("{} heads do not divide model.dim = {}", config.heads, config.dim),
             "a divisor of model.dim, or model.head_dim given");
    }
    config.head_dim = config.dim / config.heads;
  }
  check_size("head_dim", config.head_dim);
  if (config.q_dim() > kMaxSize) {
    reject("head_dim", fmt::format("heads * head_dim = {} is out of range", config.q_dim()),
           fmt::format("at most {}", kMaxSize));
  }
}

void check_rope(const ModelConfig& config) {
  if (config.rope == Rope::none) return;
  if (config.head_dim % 2 != 0) {
    reject("head_dim",
           fmt::format("heads of {} channels have no pairs for rotary embedding to turn",
                       config.head_dim),
           "an even number, or model.rope = \"none\"");
  }
  if (!std::isfinite(config.rope_theta) || config.rope_theta < 1) {
    reject("rope_theta", fmt::format("{} is out of range", config.rope_theta), "at least 1");
  }
}

void check_numbers(const ModelConfig& config) {
  if (config.dtype != DType::fp16 && config.dtype != DType::fp32) {
    reject("dtype", fmt::format("{} programs are not built", dtype_name(config.dtype)),
           "fp16 or fp32");
  }
  if (!std::isfinite(config.norm_eps) || config.norm_eps >= 1 || config.norm_eps <= 0) {
    reject("norm_eps", fmt::format("{} is out of range", config.norm_eps), "above 0 and below 1");
  }
  if (round_to(config.dtype, config.norm_eps) == 0) {
    reject("norm_eps", fmt::format("{} is zero in {}", config.norm_eps, dtype_name(config.dtype)),
           "a number that the element type can hold");
  }
}

}  // namespace

const char* rope_name(Rope rope) {
  switch (rope) {
    case Rope::none:
      return "none";
    case Rope::pairs:
      return "pairs";
    case Rope::halves:
      return "halves";
  }
  return "?";
}

std::optional<Rope> find_rope(std::string_view name) {
  for (const Rope rope : {Rope::none, Rope::pairs, Rope::halves})
    if (name == rope_name(rope)) return rope;
  return std::nullopt;
}

void ModelConfig::resolve() {
  check_size("dim", dim);
  check_size("hidden", hidden);
  resolve_heads(*this);
  check_size("layers", layers);
  if (layers > kMaxLayers) {
    reject("layers", fmt::format("{} layers are out of range", layers),
           fmt::format("1 to {}", kMaxLayers));
  }
  check_size("seq", seq);
  if (batch != 1) {
    reject("batch", fmt::format("{} sequences in a step are not built by this version", batch),
           "1 (use train.accumulate)");
  }
  if (vocab < 0 || vocab > kMaxSize) {
    reject("vocab", fmt::format("{} tokens are out of range", vocab),
           fmt::format("1 to {}, or 0 for layers without a language model", kMaxSize));
  }
  check_rope(*this);
  check_numbers(*this);
}

}  // namespace anemone::nn

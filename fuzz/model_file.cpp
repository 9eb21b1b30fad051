// The readers of model files on any bytes: they throw Error or hand out tensors that lie inside the
// file, hold what their shapes say, and belong to a config that can be. Text is taken for a
// config.json, everything else for a llama2.c file.
#include "anemone/model/model_file.h"

#include <cstdint>
#include <string_view>

#include "anemone/model/hugging_face.h"
#include "anemone/model/llama2c_file.h"

namespace {

// A broken promise is a crash, which the fuzzer sees.
void require(bool condition) {
  if (!condition) __builtin_trap();
}

void check(const anemone::nn::ModelConfig& config) {
  require(config.dim > 0 && config.heads > 0 && config.kv_heads > 0 && config.head_dim > 0);
  require(config.heads % config.kv_heads == 0 && config.layers > 0 && config.vocab > 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    if (text.starts_with('{')) {
      check(anemone::model::parse_hugging_face_config(text, "fuzz"));
      return 0;
    }
    const anemone::model::ModelFile file = anemone::model::parse_llama2c(bytes, "fuzz");
    check(file.config);
    std::size_t total = 0;
    for (const auto& [name, tensor] : file.tensors) {
      const auto count = static_cast<std::size_t>(tensor.shape.elements());
      require(tensor.data.size() == count * sizeof(float));
      require(tensor.data.data() >= bytes.data() &&
              tensor.data.data() + tensor.data.size() <= bytes.data() + size);
      total += tensor.data.size();
    }
    require(total < size);
  } catch (const anemone::Error&) {
  }
  return 0;
}

// The safetensors reader on any bytes: it throws Error or hands out tensors that lie inside the
// file side by side and hold what their shapes say.
#include "anemone/base/safetensors.h"

#include <cstdint>

namespace {

// A broken promise is a crash, which the fuzzer sees.
void require(bool condition) {
  if (!condition) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const anemone::SafetensorsReader reader(bytes, "fuzz");
    std::size_t total = 0;
    for (const auto& [name, tensor] : reader.tensors()) {
      const auto count = static_cast<std::size_t>(tensor.shape.elements());
      require(tensor.data.size() == count * anemone::dtype_size(tensor.dtype));
      require(tensor.data.empty() ||
              (tensor.data.data() >= bytes.data() &&
               tensor.data.data() + tensor.data.size() <= bytes.data() + size));
      total += tensor.data.size();
    }
    require(total <= size);
  } catch (const anemone::Error&) {
  }
  return 0;
}

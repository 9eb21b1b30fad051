// The .npy reader on any bytes: it throws Error or gives an array that holds what its shape says.
#include "anemone/base/npy.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const anemone::NpyArray array =
        anemone::parse_npy(std::as_bytes(std::span(data, size)), "fuzz");
    const auto count = static_cast<std::size_t>(array.shape.elements());
    if (array.data.size() != count * anemone::dtype_size(array.dtype)) __builtin_trap();
  } catch (const anemone::Error&) {
  }
  return 0;
}

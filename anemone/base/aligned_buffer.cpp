// Aligned allocation.
#include "anemone/base/aligned_buffer.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "anemone/base/error.h"

namespace anemone {

AlignedBuffer::AlignedBuffer(std::size_t bytes) : size_(bytes) {
  const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (rounded < bytes) throw Error("cannot allocate " + std::to_string(bytes) + " bytes");
  auto* memory =
      static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded == 0 ? kAlignment : rounded));
  if (memory == nullptr)
    throw Error("cannot allocate " + std::to_string(bytes) + " bytes: out of memory");
  std::memset(memory, 0, rounded);
  data_.reset(memory);
}

void AlignedBuffer::Free::operator()(std::byte* memory) const { std::free(memory); }

}  // namespace anemone

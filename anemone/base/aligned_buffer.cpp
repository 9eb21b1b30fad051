// Aligned allocation.
#include "anemone/base/aligned_buffer.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "anemone/base/error.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

namespace anemone {
namespace {

// Matrices of some megabytes touch more small pages than a processor remembers translations for.
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLarge = 2 * kHugePage;  // rounding up to whole pages then costs little

}  // namespace

AlignedBuffer::AlignedBuffer(std::size_t bytes) : size_(bytes) {
  const std::size_t alignment = bytes >= kLarge ? kHugePage : kAlignment;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (rounded < bytes) throw Error("cannot allocate " + std::to_string(bytes) + " bytes");
  auto* memory =
      static_cast<std::byte*>(std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded));
  if (memory == nullptr)
    throw Error("cannot allocate " + std::to_string(bytes) + " bytes: out of memory");
#if defined(MADV_HUGEPAGE)
  // Only a wish: without it, or where it is refused, the memory is the same in small pages.
  if (alignment == kHugePage) static_cast<void>(::madvise(memory, rounded, MADV_HUGEPAGE));
#endif
  std::memset(memory, 0, rounded);
  data_.reset(memory);
}

void AlignedBuffer::Free::operator()(std::byte* memory) const { std::free(memory); }

}  // namespace anemone

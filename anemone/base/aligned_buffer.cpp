// Aligned allocation.
#include "anemone/base/aligned_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
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
// Blocks of a size between share large pages: the weights of a model are many of those.
constexpr std::size_t kMedium = std::size_t{64} << 10, kChunk = 16 * kHugePage;

#if defined(__has_feature)
#define ANEMONE_HAS_FEATURE(name) __has_feature(name)
#else
#define ANEMONE_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || ANEMONE_HAS_FEATURE(address_sanitizer)
constexpr bool kShares = false;  // neighbours in one allocation would hide overruns
#else
constexpr bool kShares = true;
#endif
#undef ANEMONE_HAS_FEATURE

// `bytes` is a multiple of the alignment. The memory is not zeroed.
std::byte* allocate(std::size_t bytes, std::size_t alignment) {
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(alignment, bytes));
  if (memory == nullptr)
    throw Error("cannot allocate " + std::to_string(bytes) + " bytes: out of memory");
#if defined(MADV_HUGEPAGE)
  // Only a wish: without it, or where it is refused, the memory is the same in small pages.
  if (alignment == kHugePage) static_cast<void>(::madvise(memory, bytes, MADV_HUGEPAGE));
#endif
  return memory;
}

// Hands out pieces of chunks, one behind the other. A chunk is freed with its last piece; the one
// in use is kept and begun again. What nobody has touched of it is no memory yet.
class SharedChunks {
 public:
  std::byte* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (current_ == nullptr || used_ + bytes > kChunk) {
      drop_if_empty();
      current_ = allocate(kChunk, kHugePage);
      used_ = 0;
      pieces_[current_] = 0;
    }
    std::byte* piece = current_ + used_;
    used_ += bytes;
    ++pieces_[current_];
    return piece;
  }

  // False if it is not a piece of a chunk.
  bool give_back(std::byte* piece) {
    const std::lock_guard lock(mutex_);
    auto chunk = pieces_.upper_bound(piece);
    if (chunk == pieces_.begin()) return false;
    --chunk;
    if (piece >= chunk->first + kChunk) return false;
    if (--chunk->second > 0) return true;
    if (chunk->first == current_) {
      used_ = 0;
    } else {
      std::free(chunk->first);
      pieces_.erase(chunk);
    }
    return true;
  }

 private:
  void drop_if_empty() {
    const auto chunk = pieces_.find(current_);
    if (chunk == pieces_.end() || chunk->second > 0) return;
    std::free(chunk->first);
    pieces_.erase(chunk);
  }

  std::mutex mutex_;
  std::map<std::byte*, std::size_t> pieces_;  // alive, of each chunk
  std::byte* current_ = nullptr;
  std::size_t used_ = 0;
};

// Never destroyed: buffers may be static.
SharedChunks& shared_chunks() {
  static auto* const chunks = new SharedChunks;
  return *chunks;
}

}  // namespace

AlignedBuffer::AlignedBuffer(std::size_t bytes) : size_(bytes) {
  const std::size_t alignment = bytes >= kLarge ? kHugePage : kAlignment;
  const std::size_t rounded = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (rounded < bytes) throw Error("cannot allocate " + std::to_string(bytes) + " bytes");
  const bool shares = kShares && bytes >= kMedium && bytes < kLarge;
  std::byte* memory = shares ? shared_chunks().take(rounded) : allocate(rounded, alignment);
  std::memset(memory, 0, rounded);
  data_.reset(memory);
}

void AlignedBuffer::Free::operator()(std::byte* memory) const {
  if (!kShares || !shared_chunks().give_back(memory)) std::free(memory);
}

}  // namespace anemone

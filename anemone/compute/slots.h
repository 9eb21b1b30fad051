// Slots: runs of floats on a worker's stack that stay in the L1 cache, loaded piece by piece from a
// strided tensor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/compute/walk.h"
#include "anemone/kernels/convert/convert.h"

namespace anemone::compute {

// Elements per block: two rows of L1 lines per slot are small enough for a dozen slots, large
// enough to hide a call.
constexpr std::int64_t kBlock = 512;
// A load fills up to the next multiple of kSlotMultiple beyond its piece. The odd number of cache
// lines also keeps slots from falling on each other in the L1 cache.
constexpr std::int64_t kSlotStride = kBlock + kernels::kSlotMultiple;

// Between the scratch memories of two workers: processors fetch ahead of a run of accesses, and
// what is fetched beyond one worker's memory must not be what another one writes (a product of two
// workers was 10 % slower).
constexpr std::size_t kWorkerGap = 4096;

inline std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
inline std::int64_t round_up(std::int64_t a, std::int64_t b) { return divide_up(a, b) * b; }

inline const std::byte* element_at(const void* data, DType type, std::ptrdiff_t offset) {
  return static_cast<const std::byte*>(data) +
         offset * static_cast<std::ptrdiff_t>(dtype_size(type));
}
inline std::byte* element_at(void* data, DType type, std::ptrdiff_t offset) {
  return static_cast<std::byte*>(data) + offset * static_cast<std::ptrdiff_t>(dtype_size(type));
}

inline void load_slot(const kernels::ConvertKernel& convert, const Walk& walk, const void* data,
                      std::int64_t begin, std::int64_t count, float* slot) {
  for_each_piece(
      walk, begin, count,
      [&](std::ptrdiff_t offset, std::ptrdiff_t stride, std::int64_t position, std::int64_t n) {
        convert.load(walk.type, element_at(data, walk.type, offset), stride, slot + position, n);
      });
}

inline void store_slot(const kernels::ConvertKernel& convert, const Walk& walk, const float* slot,
                       std::int64_t begin, std::int64_t count, void* data) {
  for_each_piece(
      walk, begin, count,
      [&](std::ptrdiff_t offset, std::ptrdiff_t stride, std::int64_t position, std::int64_t n) {
        convert.store(walk.type, slot + position, element_at(data, walk.type, offset), stride, n);
      });
}

// Fetches elements [begin, begin + count) of a contiguous tensor into the cache. (Inlined by force:
// g++ 12 drops calls of functions that only prefetch.)
ANEMONE_INLINE void prefetch_slot(const Walk& walk, const void* data, std::int64_t begin,
                                  std::int64_t count) {
  if (walk.rank != 1 || walk.strides[0] != 1) return;
  constexpr std::int64_t kLine = 64;
  const auto size = static_cast<std::int64_t>(dtype_size(walk.type));
  const auto* memory = static_cast<const char*>(data);
  for (std::int64_t at = begin * size; at < (begin + count) * size; at += kLine)
    __builtin_prefetch(memory + at);
}

}  // namespace anemone::compute

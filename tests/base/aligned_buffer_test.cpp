// Buffers of all sizes: aligned, zeroed, apart from each other, and freed in any order by any
// thread.
#include "anemone/base/aligned_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "anemone/base/error.h"

namespace anemone {
namespace {

bool is_zero(const AlignedBuffer& buffer) {
  const auto bytes = buffer.as<std::byte>();
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// Sizes on both sides of where the way of allocation changes.
std::size_t some_size(std::minstd_rand& random) {
  constexpr std::size_t kSizes[] = {0,      1,       1000,    65535,   65536,  65537,
                                    300000, 2000000, 4194303, 4194304, 5000000};
  return kSizes[random() % std::size(kSizes)];
}

void fill_and_free(unsigned seed) {
  std::minstd_rand random(seed);
  struct Filled {
    AlignedBuffer buffer;
    std::byte value;
  };
  std::vector<Filled> buffers;
  for (int i = 0; i < 150; ++i) {
    AlignedBuffer buffer(some_size(random));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % AlignedBuffer::kAlignment, 0U);
    ASSERT_TRUE(is_zero(buffer));  // also where others have been
    const auto value = static_cast<std::byte>(1 + random() % 255);
    std::fill_n(buffer.data(), buffer.size(), value);
    buffers.push_back({std::move(buffer), value});
    if (buffers.size() < 12) continue;
    const std::size_t gone = random() % buffers.size();
    const auto bytes = buffers[gone].buffer.as<std::byte>();
    ASSERT_EQ(std::count(bytes.begin(), bytes.end(), buffers[gone].value),
              static_cast<std::ptrdiff_t>(bytes.size()));  // nobody else wrote here
    buffers.erase(buffers.begin() + static_cast<std::ptrdiff_t>(gone));
  }
}

TEST(AlignedBuffer, BuffersAreZeroedAndApart) { fill_and_free(1); }

TEST(AlignedBuffer, ThreadsMayTakeAndFree) {
  std::vector<std::thread> threads;
  for (unsigned seed = 2; seed < 5; ++seed) threads.emplace_back(fill_and_free, seed);
  for (std::thread& thread : threads) thread.join();
}

TEST(AlignedBuffer, AnotherThreadMayFreeIt) {
  AlignedBuffer buffer(100000);
  std::thread([&] { buffer = AlignedBuffer(); }).join();
  EXPECT_TRUE(is_zero(AlignedBuffer(100000)));
}

TEST(AlignedBuffer, TooMuchIsAnError) {
  EXPECT_THROW(AlignedBuffer(SIZE_MAX), Error);
  EXPECT_THROW(AlignedBuffer(SIZE_MAX / 4), Error);
}

}  // namespace
}  // namespace anemone

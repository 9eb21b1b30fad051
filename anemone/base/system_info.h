// Memory and processors of this machine and process, as the system tells them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace anemone {

struct MemoryInfo {
  std::uint64_t total_bytes = 0;      // of the machine; 0 = unknown
  std::uint64_t available_bytes = 0;  // without swapping; 0 = unknown
  std::optional<std::uint64_t> cgroup_limit_bytes;
};

MemoryInfo memory_info();

// The largest resident size of this process so far.
std::uint64_t peak_memory_bytes();

// Its present one; where the system does not tell simply (macOS), the largest.
std::uint64_t resident_memory_bytes();

int online_processors();    // of the machine
int affinity_processors();  // that this process may be scheduled on

}  // namespace anemone

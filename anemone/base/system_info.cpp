// /proc, sysconf and sysctl.
#include "anemone/base/system_info.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

#ifdef __APPLE__
#include <sys/sysctl.h>
#else
#include <sched.h>
#endif

namespace anemone {
namespace {

#ifndef __APPLE__
std::optional<std::uint64_t> leading_number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

// "MemTotal:  16314 kB" of /proc/meminfo, in bytes.
std::uint64_t meminfo_bytes(const std::string& field) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ":")) {
      return leading_number(std::string_view(line).substr(field.size() + 1)).value_or(0) * 1024;
    }
  }
  return 0;
}

// The limit of the group that this process sees as the root of its hierarchy; "max" is none, and
// version 1 writes a number near 2^63 for none.
std::optional<std::uint64_t> cgroup_memory_limit() {
  constexpr std::uint64_t kNone = std::uint64_t{1} << 62;
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::string line;
    std::ifstream file(path);
    if (!std::getline(file, line)) continue;
    const auto limit = leading_number(line);
    if (limit && *limit < kNone) return limit;
  }
  return std::nullopt;
}
#endif

}  // namespace

MemoryInfo memory_info() {
  MemoryInfo info;
#ifdef __APPLE__
  std::size_t size = sizeof info.total_bytes;
  ::sysctlbyname("hw.memsize", &info.total_bytes, &size, nullptr, 0);
#else
  info.total_bytes = meminfo_bytes("MemTotal");
  info.available_bytes = meminfo_bytes("MemAvailable");
  info.cgroup_limit_bytes = cgroup_memory_limit();
#endif
  return info;
}

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<std::uint64_t>(usage.ru_maxrss);  // bytes there, kilobytes elsewhere
#else
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
#endif
}

std::uint64_t resident_memory_bytes() {
#ifndef __APPLE__
  std::ifstream file("/proc/self/statm");  // pages: size, resident, …
  std::uint64_t size = 0, resident = 0;
  if (file >> size >> resident)
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
#endif
  return peak_memory_bytes();
}

int online_processors() { return static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)); }

int affinity_processors() {
#ifndef __APPLE__
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return online_processors();
}

}  // namespace anemone

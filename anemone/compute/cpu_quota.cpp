// Reading CPU quotas of control groups, and the default number of threads.
// Reads CPU quotas from the cgroup files of versions 1 and 2, from the group up to the root.
#include "anemone/compute/cpu_quota.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include "anemone/compute/thread_pool.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace anemone::compute {
namespace {

namespace fs = std::filesystem;

// Version 2, "cpu.max": "QUOTA PERIOD" or "max PERIOD".
std::optional<double> read_version2(const fs::path& folder) {
  std::ifstream file(folder / "cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return std::nullopt;
  const double value = std::strtod(quota.c_str(), nullptr);
  return value > 0 ? std::optional(value / period) : std::nullopt;
}

// Version 1: two files; a quota of -1 is none.
std::optional<double> read_version1(const fs::path& folder) {
  double quota = 0, period = 0;
  std::ifstream(folder / "cpu.cfs_quota_us") >> quota;
  std::ifstream(folder / "cpu.cfs_period_us") >> period;
  return quota > 0 && period > 0 ? std::optional(quota / period) : std::nullopt;
}

template <class Read>
std::optional<double> smallest_on_path(const fs::path& mount, const fs::path& group, Read read) {
  std::optional<double> smallest;
  fs::path folder = group.relative_path();
  for (;;) {
    if (const auto quota = read(mount / folder))
      smallest = std::min(smallest.value_or(*quota), *quota);
    if (folder.empty()) return smallest;
    folder = folder.parent_path();
  }
}

bool names_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

}  // namespace

std::optional<double> cgroup_cpu_quota(const fs::path& membership_file,
                                       const fs::path& cgroup_root) {
  std::optional<double> smallest;
  const auto consider = [&smallest](std::optional<double> quota) {
    if (quota) smallest = std::min(smallest.value_or(*quota), *quota);
  };
  std::ifstream file(membership_file);
  // Lines are "NUMBER:CONTROLLERS:PATH"; version 2 has number 0 and no controllers.
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty()) {
      consider(smallest_on_path(cgroup_root, group, read_version2));
    } else if (names_cpu(controllers)) {
      consider(smallest_on_path(cgroup_root / controllers, group, read_version1));
      consider(smallest_on_path(cgroup_root / "cpu", group, read_version1));
    }
  }
  return smallest;
}

int default_thread_count() {
  int processors = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) == 0) processors = CPU_COUNT(&allowed);
#endif
  processors = std::max(processors, 1);
  if (const auto quota = cgroup_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup")) {
    processors = std::min(processors, std::max(1, static_cast<int>(std::ceil(*quota))));
  }
  return processors;
}

}  // namespace anemone::compute

// How many processors the kernel lets this process use at once, as far as its cgroup says.
#pragma once

#include <filesystem>
#include <optional>

namespace anemone::compute {

// The smallest CPU quota (in processors, e.g. 1.5) on the way from this process's cgroup up to the
// root, versions 1 and 2; nothing if there is none. The paths are /proc/self/cgroup and
// /sys/fs/cgroup, and parameters for the tests.
std::optional<double> cgroup_cpu_quota(const std::filesystem::path& membership_file,
                                       const std::filesystem::path& cgroup_root);

}  // namespace anemone::compute

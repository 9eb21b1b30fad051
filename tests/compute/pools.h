// Pools of one thread to four: results may not depend on their number.
#pragma once

#include <memory>
#include <vector>

#include "anemone/compute/thread_pool.h"

namespace anemone::compute {

inline std::vector<std::unique_ptr<ThreadPool>> make_pools() {
  std::vector<std::unique_ptr<ThreadPool>> pools;
  for (int threads = 1; threads <= 4; ++threads)
    pools.push_back(std::make_unique<ThreadPool>(threads));
  return pools;
}

}  // namespace anemone::compute

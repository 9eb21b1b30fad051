// Lifetimes of storages from the steps that touch them.
#include "anemone/engine/cpu/scratch_plan.h"

#include <algorithm>

#include "anemone/engine/cpu/memory_plan.h"

namespace anemone::cpu {
namespace {

class Planner {
 public:
  Planner(std::span<const Storage> storages, std::span<const Step> steps)
      : storages_(storages), steps_(steps), lifetimes_(storages.size()), home_(storages.size()) {}

  ScratchPlan run() {
    for (std::size_t i = 0; i < storages_.size(); ++i) home_[i] = static_cast<int>(i);
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      for (const int storage : steps_[i].writes) touch(storage, static_cast<int>(i));
      for (const int storage : steps_[i].reads) touch(storage, static_cast<int>(i));
    }
    for (std::size_t i = 0; i < steps_.size(); ++i) overwrite(static_cast<int>(i));

    std::vector<Lifetime> all = lifetimes_;
    for (std::size_t i = 0; i < steps_.size(); ++i)
      all.push_back({steps_[i].workspace_bytes, static_cast<int>(i), static_cast<int>(i)});
    const MemoryPlan plan = plan_memory(all);
    ScratchPlan result;
    result.bytes = plan.bytes;
    for (const int home : home_)
      result.storages.push_back(plan.offsets[static_cast<std::size_t>(home)]);
    result.workspaces.assign(plan.offsets.begin() + static_cast<std::ptrdiff_t>(storages_.size()),
                             plan.offsets.end());
    return result;
  }

 private:
  bool is_scratch(int storage) const {
    return storages_[static_cast<std::size_t>(storage)].kind == Storage::Kind::scratch;
  }
  Lifetime& lifetime(int storage) { return lifetimes_[static_cast<std::size_t>(storage)]; }

  void touch(int storage, int step) {
    if (!is_scratch(storage)) return;
    const Storage& described = storages_[static_cast<std::size_t>(storage)];
    Lifetime& life = lifetime(storage);
    if (life.bytes == 0) {
      life = {static_cast<std::size_t>(described.elements) * dtype_size(described.dtype), step,
              step};
    }
    life.last = step;
  }

  // The operand ends here, the result begins here, and nothing else of the step lies in either.
  bool may_overwrite(int from, int to, int number) {
    if (!is_scratch(from) || !is_scratch(to) || from == to) return false;
    const Step& step = steps_[static_cast<std::size_t>(number)];
    const auto once = [](const std::vector<int>& list, int storage) {
      return std::count(list.begin(), list.end(), storage) == 1;
    };
    if (!once(step.reads, from) || !once(step.writes, to)) return false;
    const int home = home_[static_cast<std::size_t>(from)];
    return home_[static_cast<std::size_t>(to)] == to && lifetime(home).last == number &&
           lifetime(to).first == number && lifetime(home).bytes == lifetime(to).bytes;
  }

  void overwrite(int number) {
    for (const auto& [from, to] : steps_[static_cast<std::size_t>(number)].in_place) {
      if (!may_overwrite(from, to, number)) continue;
      const int home = home_[static_cast<std::size_t>(from)];
      home_[static_cast<std::size_t>(to)] = home;
      lifetime(home).last = lifetime(to).last;
      lifetime(to).bytes = 0;
    }
  }

  std::span<const Storage> storages_;
  std::span<const Step> steps_;
  std::vector<Lifetime> lifetimes_;  // by storage; 0 bytes: not scratch, or lies in another's home
  std::vector<int> home_;            // by storage: whose memory it uses
};

}  // namespace

ScratchPlan plan_scratch(std::span<const Storage> storages, std::span<const Step> steps) {
  return Planner(storages, steps).run();
}

}  // namespace anemone::cpu

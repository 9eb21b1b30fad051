// Which surfaces of a step can be one: those that are never in use at the same time. A pure
// function of how large they are and when each is in use.
#pragma once

#include <span>
#include <vector>

#include "anemone/engine/surface.h"

namespace anemone::train {

struct PlannedSurface {
  engine::BufferSpec spec;
  bool host = false;  // it belongs to the host's engine
};

// Moments of a step are numbers in the order of its events. A surface is in use from the first to
// the last of its moments, both included: what is written at the moment at which something else is
// read must be somewhere else.
struct Usage {
  int first = 0, last = -1;
  void touch(int moment);
  bool overlaps(const Usage& other) const { return first <= other.last && other.first <= last; }
};

struct SharedSurfaces {
  std::vector<PlannedSurface> surfaces;
  std::vector<int> place;  // of each wanted surface, the one that it became
};

// Best fit, the largest first.
SharedSurfaces share_surfaces(std::span<const PlannedSurface> wanted, std::span<const Usage> usage);

}  // namespace anemone::train

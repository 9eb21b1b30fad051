// See surface_sharing.h.
#include "anemone/train/surface_sharing.h"

#include <algorithm>
#include <numeric>

namespace anemone::train {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

bool has_gaps(const engine::BufferSpec& spec) {
  return spec.row_bytes > spec.row_elements * spec.element_bytes;
}

// Memory with gaps between its rows is made for just these rows.
bool fits_in(const PlannedSurface& wanted, const PlannedSurface& surface) {
  const engine::BufferSpec &a = wanted.spec, &b = surface.spec;
  if (wanted.host != surface.host || a.bytes > b.bytes) return false;
  if (!has_gaps(a) && !has_gaps(b)) return true;
  return a.row_bytes == b.row_bytes && a.row_elements == b.row_elements &&
         a.element_bytes == b.element_bytes;
}

}  // namespace

void Usage::touch(int moment) {
  if (last < first) {
    first = last = moment;
  } else {
    first = std::min(first, moment);
    last = std::max(last, moment);
  }
}

SharedSurfaces share_surfaces(std::span<const PlannedSurface> wanted,
                              std::span<const Usage> usage) {
  std::vector<int> order(wanted.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return wanted[at(a)].spec.bytes > wanted[at(b)].spec.bytes;
  });
  SharedSurfaces shared;
  shared.place.assign(wanted.size(), -1);
  std::vector<std::vector<Usage>> tenants;  // of each surface made
  for (const int index : order) {
    const auto is_free = [&](std::size_t surface) {
      return std::none_of(tenants[surface].begin(), tenants[surface].end(),
                          [&](const Usage& tenant) { return tenant.overlaps(usage[at(index)]); });
    };
    // The last one made is the smallest, and none is smaller than this one wants.
    std::size_t best = shared.surfaces.size();
    for (std::size_t surface = shared.surfaces.size(); surface-- > 0;) {
      if (!fits_in(wanted[at(index)], shared.surfaces[surface]) || !is_free(surface)) continue;
      best = surface;
      break;
    }
    if (best == shared.surfaces.size()) {
      shared.surfaces.push_back(wanted[at(index)]);
      tenants.emplace_back();
    }
    tenants[best].push_back(usage[at(index)]);
    shared.place[at(index)] = static_cast<int>(best);
  }
  return shared;
}

}  // namespace anemone::train

// Number and sizes of surfaces.
#include "anemone/engine/surface_check.h"

#include <fmt/format.h>

#include <string>

#include "anemone/base/error.h"

namespace anemone::engine {

void check_surfaces(std::span<Surface* const> surfaces, std::span<const BufferSpec> buffers,
                    const char* side) {
  if (surfaces.size() != buffers.size()) {
    throw Error(fmt::format("{} {} surfaces", surfaces.size(), side), {},
                std::to_string(buffers.size()));
  }
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (surfaces[i]->bytes() < buffers[i].bytes) {
      throw Error(
          fmt::format("a surface of {} bytes for {}", surfaces[i]->bytes(), buffers[i].name), {},
          fmt::format("{} or more", buffers[i].bytes));
    }
  }
}

}  // namespace anemone::engine

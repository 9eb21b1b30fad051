// See checkpoint_room.h.
#include "anemone/train/checkpoint_room.h"

#include <fmt/format.h>

#include "anemone/base/counted.h"
#include "anemone/base/megabytes.h"

namespace anemone::train {

std::string room_warning(std::uint64_t available, std::uint64_t bytes, std::uint64_t more) {
  if (bytes == 0 || available / bytes >= more) return {};
  const std::uint64_t fit = available / bytes;
  const std::string sizes = fmt::format("{:.1f} MB are free, a checkpoint takes {:.1f} MB",
                                        megabytes(available), megabytes(bytes));
  if (fit == 0) return fmt::format("no checkpoint can be saved: {}", sizes);
  return fmt::format("the disk has room for {} only, and {} may be there at once: {}",
                     counted(fit, "checkpoint"), more, sizes);
}

}  // namespace anemone::train

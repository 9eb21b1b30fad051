// What every engine asks of the surfaces it is to bind.
#pragma once

#include <span>

#include "anemone/engine/surface.h"

namespace anemone::engine {

// Throws Error unless there is one surface for each buffer, none too small. `side`: "input" or
// "output", for the message.
void check_surfaces(std::span<Surface* const> surfaces, std::span<const BufferSpec> buffers,
                    const char* side);

}  // namespace anemone::engine

// The operation chapter of the documentation, from the definitions.
#pragma once

#include <string>

namespace anemone::mil {

// Markdown: docs/ops.md.
std::string describe_ops();

}  // namespace anemone::mil

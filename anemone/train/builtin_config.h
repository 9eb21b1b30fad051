// The config of a run that names none: configs/tiny.toml, compiled in, so that an installed program
// has it too.
#pragma once

#include <string_view>

namespace anemone::train {

inline constexpr const char* kBuiltinConfigName = "tiny";
std::string_view builtin_config();  // TOML

}  // namespace anemone::train

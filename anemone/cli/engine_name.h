// The check of flags that name an engine.
#pragma once

#include <CLI/CLI.hpp>

namespace anemone::cli {

// "auto", or one that exists; whether it can be had on this machine is not asked.
CLI::Validator engine_name();

}  // namespace anemone::cli

// The check of flags that take a whole number, with a message that says which numbers may be given.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace anemone::cli {

// app.add_option(…)->check(whole_number(0, 4096)): "--threads: 100000 is out of range (expected 0
// to 4096)".
CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);

}  // namespace anemone::cli

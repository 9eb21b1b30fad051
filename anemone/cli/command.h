// A subcommand of the program: one file each, one row each in commands.inc.
//
// `setup` declares the flags on its CLI::App and returns what to run once they are parsed. What
// runs returns the exit code or throws Error, which main prints and turns into kExitFailure
// (UsageError: kExitUsage).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string_view>

#include "anemone/base/error.h"

namespace anemone::cli {

// Exit codes of every subcommand. A run stopped by a signal exits with 128 + its number.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure =
    1;                                // the problem is in what was given: a program, a file, a run
inline constexpr int kExitUsage = 2;  // the command line itself
inline constexpr int kExitInterrupted = 130;
inline constexpr int kExitTerminated = 143;

// The command line asks for what cannot be, in a way that parsing its flags does not show.
class UsageError : public Error {
 public:
  using Error::Error;
};

using Run = std::function<int()>;

struct Command {
  std::string_view name;
  std::string_view summary;   // one line of `anemone --help`
  std::string_view examples;  // shown below the flags by --help; lines as they should appear
  Run (*setup)(CLI::App& app);
};

// COMMAND(name) in commands.inc stands for `extern const Command name_command`, defined in
// anemone/cli/<name>.cpp.
#define COMMAND(name) extern const Command name##_command;
#include "anemone/cli/commands.inc"
#undef COMMAND

}  // namespace anemone::cli

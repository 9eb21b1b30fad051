// The program `anemone` under test, run to its end, and what came of it.
#pragma once

#include <string>
#include <vector>

#include "tests/support/process.h"

namespace anemone::test {

struct ProgramRun {
  int code;            // as Process::wait gives it
  std::string output;  // standard output and error together
  bool says(const std::string& part) const { return output.find(part) != std::string::npos; }
};

// `anemone` with these arguments.
ProgramRun run_program(std::vector<std::string> arguments,
                       const Process::Environment& environment = {});

// A command of the shell, in which "$0" is the program: `"$0" version | cat`.
ProgramRun run_shell(const std::string& command);

}  // namespace anemone::test

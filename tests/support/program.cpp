// Runs to the end.
#include "tests/support/program.h"

#include "tests/support/shared.h"

namespace anemone::test {
namespace {

ProgramRun run_to_end(const std::vector<std::string>& arguments,
                      const Process::Environment& environment) {
  Process process(arguments, environment);
  const int code = process.wait();
  return {code, process.output()};
}

}  // namespace

ProgramRun run_program(std::vector<std::string> arguments,
                       const Process::Environment& environment) {
  arguments.insert(arguments.begin(), program_path().string());
  return run_to_end(arguments, environment);
}

ProgramRun run_shell(const std::string& command) {
  return run_to_end({"/bin/sh", "-c", command, program_path().string()}, {});
}

}  // namespace anemone::test

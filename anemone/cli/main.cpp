// The program `anemone`: finds the subcommand, parses its flags, runs it, and reports what it
// threw.
#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/base/nearest_name.h"
#include "anemone/base/version.h"
#include "anemone/cli/command.h"
#include "anemone/mil/diagnostics.h"

namespace anemone::cli {
namespace {

constexpr std::array kCommands = {
#define COMMAND(name) &name##_command,
#include "anemone/cli/commands.inc"
#undef COMMAND
};

constexpr const char* kExitCodes =
    "Exit codes: 0 success, 1 a problem was found or the run failed, 2 the command line is wrong,\n"
    "130 and 143 stopped by SIGINT and SIGTERM.\n";

struct Entry {
  CLI::App* app;
  Run run;
};

std::vector<Entry> add_commands(CLI::App& program) {
  std::vector<Entry> entries;
  for (const Command* command : kCommands) {
    CLI::App* app =
        program.add_subcommand(std::string(command->name), std::string(command->summary));
    Run run = command->setup(*app);
    if (!command->examples.empty())
      app->footer("Examples:\n" + std::string(command->examples) + "\n");
    entries.push_back({app, std::move(run)});
  }
  return entries;
}

// CLI11 only says that a subcommand is required; say what is wrong with the one that was given.
std::string unknown_subcommand(std::string_view given) {
  std::vector<std::string_view> names;
  for (const Command* command : kCommands) names.push_back(command->name);
  const std::string_view near = nearest_name(given, names);
  return fmt::format("unknown subcommand '{}'", given) +
         (near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
}

int report_usage(const CLI::App& program, const CLI::ParseError& error, int argc, char** argv) {
  const auto chosen = program.get_subcommands();
  const std::string name = chosen.empty() ? "anemone" : "anemone " + chosen.front()->get_name();
  const bool unknown = chosen.empty() && argc > 1 && argv[1][0] != '-';
  fmt::print(stderr, "anemone: error: {}\nSee `{} --help`.\n",
             unknown ? unknown_subcommand(argv[1]) : error.what(), name);
  return kExitUsage;
}

int run(int argc, char** argv) {
  CLI::App program("Trains transformers by compiling MIL programs and running them on an engine.",
                   "anemone");
  program.require_subcommand(1);
  program.set_version_flag("--version", "anemone " + std::string(build_info().version));
  program.footer(kExitCodes);
  const std::vector<Entry> entries = add_commands(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return program.exit(success);
  } catch (const CLI::ParseError& error) {
    return report_usage(program, error, argc, argv);
  }
  for (const Entry& entry : entries) {
    if (entry.app->parsed()) return entry.run();
  }
  return kExitUsage;
}

}  // namespace
}  // namespace anemone::cli

int main(int argc, char** argv) {
  try {
    const int code = anemone::cli::run(argc, argv);
    // What was printed may still be in the stream's buffer: a full disk shows only now.
    const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
    if (!failed || code != anemone::cli::kExitOk) return code;
    fmt::print(stderr, "anemone: error: cannot write standard output: {}\n", std::strerror(errno));
  } catch (const anemone::mil::DiagnosticError& error) {  // several lines, each with its place
    fmt::print(stderr, "{}anemone: error: {}\n", error.what(), error.summary());
  } catch (const anemone::cli::UsageError& error) {
    fmt::print(stderr, "anemone: error: {}\n", error.what());
    return anemone::cli::kExitUsage;
  } catch (const anemone::Error& error) {
    fmt::print(stderr, "anemone: error: {}\n", error.what());
  } catch (const std::exception& error) {  // out of memory, a bug: still no silent death
    fmt::print(stderr, "anemone: error: {}\n", error.what());
  }
  return anemone::cli::kExitFailure;
}

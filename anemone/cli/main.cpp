// The program `anemone`: finds the subcommand, parses its flags, runs it, and reports what it
// threw.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>
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

// "unknown flag '--txt'; did you mean '--text'?", or nothing where a flag is not what is wrong.
std::string unknown_flag(const CLI::App& app, std::span<char* const> arguments) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  for (const std::string_view argument : arguments) {
    const std::string_view flag = argument.substr(0, argument.find('='));
    if (flag.substr(0, 2) != "--" || std::find(flags.begin(), flags.end(), flag) != flags.end())
      continue;
    const std::vector<std::string_view> names(flags.begin(), flags.end());
    const std::string_view near = nearest_name(flag, names);
    return fmt::format("unknown flag '{}'", flag) +
           (near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
  }
  return {};
}

int report_usage(const CLI::App& program, const CLI::ParseError& error, int argc, char** argv) {
  const CLI::App* app = &program;
  std::string name = "anemone";
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    name += " " + app->get_name();
  }
  std::string problem = error.what();
  if (app == &program && argc > 1 && argv[1][0] != '-') {
    problem = unknown_subcommand(argv[1]);
  } else if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::string flag = unknown_flag(*app, {argv + 1, argv + argc});
    if (!flag.empty()) problem = flag;
  }
  fmt::print(stderr, "anemone: error: {}\nSee `{} --help`.\n", problem, name);
  return kExitUsage;
}

// `anemone help train` is `anemone train --help`.
std::vector<char*> with_help(int argc, char** argv) {
  static char flag[] = "--help";
  std::vector<char*> arguments(argv, argv + argc);
  if (argc < 2 || std::string_view(argv[1]) != "help") return arguments;
  arguments.erase(arguments.begin() + 1);
  arguments.push_back(flag);
  return arguments;
}

int run(int given_count, char** given) {
  std::vector<char*> arguments = with_help(given_count, given);
  const int argc = static_cast<int>(arguments.size());
  char** argv = arguments.data();
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

// `anemone check`: every problem of MIL files, on their lines, and one line to sum up.
#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "anemone/base/counted.h"
#include "anemone/cli/command.h"
#include "anemone/cli/program_text.h"
#include "anemone/mil/constant_source.h"
#include "anemone/mil/diagnostics.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/verifier.h"

namespace anemone::cli {
namespace {

struct CheckFlags {
  std::vector<std::string> files;
  bool json = false;
  bool weights = false;
};

// Every blob file a program refers to exists and holds what the program says.
void check_weights(const mil::Program& program, const std::filesystem::path& directory,
                   mil::Diagnostics& diagnostics) {
  mil::ConstantSource source(nullptr, directory);
  std::vector<std::byte> scratch;
  for (const mil::Function& function : program.functions) {
    for (const mil::Operation& op : function.ops) {
      if (op.constant == nullptr || op.constant->blob() == nullptr) continue;
      try {
        source.bytes(*op.constant, scratch);
      } catch (const Error& error) {
        diagnostics.error(op.location, error.what());
      }
    }
  }
}

nlohmann::json to_json(const mil::Diagnostics& diagnostics) {
  nlohmann::json problems = nlohmann::json::array();
  for (const mil::Diagnostic& diagnostic : diagnostics.all()) {
    problems.push_back({{"severity", mil::severity_name(diagnostic.severity)},
                        {"line", diagnostic.location.line},
                        {"column", diagnostic.location.column},
                        {"message", diagnostic.message}});
  }
  return {{"file", diagnostics.file()},
          {"errors", diagnostics.error_count()},
          {"diagnostics", std::move(problems)}};
}

std::string describe(const mil::Program& program) {
  std::size_t ops = 0, constants = 0;
  for (const mil::Function& function : program.functions) {
    for (const mil::Operation& op : function.ops) {
      ++(op.kind == mil::OpKind::const_ ? constants : ops);
    }
  }
  return fmt::format("program({}), {}, {}, {}", program.version,
                     counted(program.functions.size(), "function"), counted(ops, "operation"),
                     counted(constants, "constant"));
}

// True if the file has no errors. Throws Error when it cannot be read.
bool check_file(const std::string& given, const CheckFlags& flags, nlohmann::json& report) {
  const ProgramText file(given);
  mil::Diagnostics diagnostics(file.name(), file.text());
  const mil::Program program = mil::parse(file.text(), diagnostics);
  mil::verify(program, diagnostics);
  if (flags.weights) check_weights(program, file.directory(), diagnostics);
  if (flags.json) {
    report.push_back(to_json(diagnostics));
  } else {
    fmt::print("{}{}\n", diagnostics.render(),
               diagnostics.has_errors()
                   ? diagnostics.summary()
                   : fmt::format("{}: ok: {}", file.name(), describe(program)));
  }
  return !diagnostics.has_errors();
}

// All files are looked at, also behind one that cannot be read.
bool check_files(const CheckFlags& flags, nlohmann::json& report) {
  bool ok = true;
  for (const std::string& file : flags.files) {
    try {
      ok &= check_file(file, flags, report);
    } catch (const Error& error) {
      ok = false;
      mil::Diagnostics diagnostics(file, {});
      diagnostics.error({}, error.problem());
      report.push_back(to_json(diagnostics));
      if (!flags.json) fmt::print(stderr, "anemone: error: {}\n", error.what());
    }
  }
  return ok;
}

Run setup_check(CLI::App& app) {
  auto flags = std::make_shared<CheckFlags>();
  app.add_option("file", flags->files,
                 "MIL text, folders of compiled models, or - for standard input")
      ->required()
      ->type_name("FILE.mil");
  app.add_flag("--weights", flags->weights,
               "also check the blob files that BLOBFILE refers to, beside the text");
  app.add_flag("--json", flags->json, "print the problems as JSON instead");
  return [flags] {
    nlohmann::json report = nlohmann::json::array();
    const bool ok = check_files(*flags, report);
    if (flags->json) {
      // Text may hold any bytes; JSON must be UTF-8.
      fmt::print("{}\n", report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    return ok ? kExitOk : kExitFailure;
  };
}

}  // namespace

const Command check_command = {
    "check", "Check MIL text and show every problem on its line",
    "  anemone check model.mlmodelc/model.mil\n"
    "  anemone check --weights export/*/model.mil     also the files of weights\n"
    "  anemone check --json model.mil | jq '.[0].errors'\n"
    "  sed 's/ios17/ios18/' model.mil | anemone check -",
    setup_check};

}  // namespace anemone::cli

// `anemone print`: a MIL program as our printer writes it, in either spelling.
#include <fmt/core.h>

#include <memory>
#include <string>

#include "anemone/cli/command.h"
#include "anemone/cli/program_text.h"
#include "anemone/mil/printer.h"

namespace anemone::cli {
namespace {

struct PrintFlags {
  std::string file;
  std::string version;
};

Run setup_print(CLI::App& app) {
  auto flags = std::make_shared<PrintFlags>();
  app.add_option("file", flags->file,
                 "MIL text, the folder of a compiled model, or - for standard input")
      ->required()
      ->type_name("FILE.mil");
  app.add_option("--version", flags->version,
                 "spelling of scalars: 1.0 as tensors of no dimensions, 1.3 bare (default: as in "
                 "the file)")
      ->check(CLI::IsMember({"1.0", "1.3"}));
  return [flags] {
    mil::Program program = ProgramText(flags->file).load();
    if (!flags->version.empty()) program.version = flags->version;
    fmt::print("{}", mil::print(program));
    return kExitOk;
  };
}

}  // namespace

const Command print_command = {"print", "Print MIL text in its canonical form",
                               "  anemone print model.mil\n"
                               "  anemone print model.mil --version 1.0 > model_ios17.mil\n"
                               "  sed 's/ios17/ios18/' model.mil | anemone print -",
                               setup_print};

}  // namespace anemone::cli

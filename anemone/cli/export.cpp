// `anemone export`: the kernels of a model as folders of MIL text and blob files, for other tools
// and for reading.
#include "anemone/mil/export.h"

#include <fmt/core.h>

#include <filesystem>
#include <string>

#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/config_flags.h"
#include "anemone/mil/passes/pack_io.h"
#include "anemone/mil/verifier.h"
#include "anemone/nn/layer.h"
#include "anemone/train/initial_weights.h"

namespace anemone::cli {
namespace {

struct ExportFlags {
  ConfigFlags config;
  std::string checkpoint, out, io = "packed";
};

// "in  x_packed tensor<…>: q 0-767, k 768-1535"; a layout of one port needs no channels.
std::string describe(const char* side, const mil::Function& function,
                     const std::vector<mil::Value>& values,
                     const std::vector<mil::PackedPort>& layout) {
  std::string text;
  for (const mil::Value value : values) {
    text +=
        fmt::format("  {}  {} {}", side, function.name_of(value), function.type(value).to_string());
    for (std::size_t i = 0; layout.size() > 1 && i < layout.size(); ++i) {
      text += fmt::format("{} {} {}-{}", i == 0 ? ":" : ",", layout[i].name, layout[i].channel,
                          layout[i].channel + layout[i].channels - 1);
    }
    text += "\n";
  }
  return text;
}

int run(const ExportFlags& flags) {
  if (flags.config.path().empty())
    throw UsageError("no config is given", "--config", "a TOML file");
  if (flags.out.empty()) throw UsageError("no folder is given", "--out", "a folder to write");
  const train::RunConfig config = flags.config.load();
  const std::string partition = config.engine.partition.empty() ? "six" : config.engine.partition;

  train::ParameterList parameters(nn::layer_step(config.model, partition).parameters);
  train::set_initial_weights(parameters, config, flags.checkpoint);
  mil::ConstantSource constants(&parameters.weights());
  for (nn::Kernel& kernel : nn::layer_kernels(config.model, partition)) {
    mil::Function& function = kernel.program.main();
    mil::PackedLayout layout;
    if (flags.io == "packed") layout = mil::pack_io(function, kernel.name);
    mil::verify_or_throw(kernel.program, kernel.name);
    const std::filesystem::path folder = std::filesystem::path(flags.out) / kernel.name;
    if (const Status status = mil::export_program(kernel.program, constants, folder); !status.ok())
      throw Error(status.message);
    fmt::print("{}\n{}{}", folder.string(),
               describe("in ", function, function.inputs, layout.inputs),
               describe("out", function, function.outputs, layout.outputs));
  }
  return kExitOk;
}

Run setup(CLI::App& app) {
  auto flags = std::make_shared<ExportFlags>();
  flags->config.declare(app, {"--precision", "--partition", "--seed"});
  app.add_option("--checkpoint", flags->checkpoint,
                 "Weights of a checkpoint folder or safetensors file; else those a run starts from")
      ->type_name("DIR");
  app.add_option("--io", flags->io,
                 "packed: one input and one output a program, as the Neural Engine wants it; "
                 "named: the tensors by name")
      ->check(CLI::IsMember({"packed", "named"}))
      ->capture_default_str();
  app.add_option("--out,-o", flags->out,
                 "Folder to write, with a folder for each program: files of the same names are "
                 "replaced, all others stay as they are")
      ->type_name("DIR")
      ->required();
  return [flags] { return run(*flags); };
}

}  // namespace

const Command export_command = {
    "export", "Write the kernels of a model as model.mil and weights/*.bin",
    "  anemone export --config configs/layer.toml --out kernels\n"
    "  anemone export --config configs/layer.toml --partition merged --io named --out kernels\n"
    "  anemone export --config configs/layer.toml --checkpoint "
    "runs/layer/checkpoints/step-00000400 "
    "--out kernels",
    setup};

}  // namespace anemone::cli

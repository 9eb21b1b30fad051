// `anemone export`: the kernels of a model as folders of MIL text and blob files, for other tools
// and for reading.
#include "anemone/mil/export.h"

#include <fmt/core.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/config_flags.h"
#include "anemone/engine/ane/legal_folder.h"
#include "anemone/engine/ane/legalize.h"
#include "anemone/mil/passes/pack_io.h"
#include "anemone/mil/verifier.h"
#include "anemone/nn/language_model.h"
#include "anemone/train/initial_weights.h"

namespace anemone::cli {
namespace {

namespace ane = engine::ane;

struct ExportFlags {
  ConfigFlags config;
  std::string checkpoint, out, io = "packed", target, macos;
};

// "in  x_packed tensor<…>: q 0-767, k 768-1535"; a buffer of one port needs no channels.
std::string describe(const char* side, const mil::Function& function,
                     const std::vector<mil::Value>& values,
                     const std::vector<mil::PackedPort>& layout) {
  std::string text;
  for (std::size_t buffer = 0; buffer < values.size(); ++buffer) {
    const mil::Value value = values[buffer];
    text +=
        fmt::format("  {}  {} {}", side, function.name_of(value), function.type(value).to_string());
    std::string_view separator = ":";
    for (const mil::PackedPort& port : layout) {
      if (port.buffer != static_cast<int>(buffer) || port.name == function.name_of(value)) continue;
      text += fmt::format("{} {} {}-{}", separator, port.name, port.channel,
                          port.channel + port.channels - 1);
      separator = ",";
    }
    text += "\n";
  }
  return text;
}

void export_plain(const ExportFlags& flags, nn::Kernel& kernel, mil::ConstantSource& constants,
                  const std::filesystem::path& folder) {
  mil::Function& function = kernel.program.main();
  mil::PackedLayout layout;
  if (flags.io == "packed") layout = mil::pack_io(function, kernel.name);
  mil::verify_or_throw(kernel.program, kernel.name);
  throw_if_failed(mil::export_program(kernel.program, constants, folder));
  fmt::print("{}\n{}{}", folder.string(), describe("in ", function, function.inputs, layout.inputs),
             describe("out", function, function.outputs, layout.outputs));
}

// "in  a_input0 tensor<…>: q, k from 768"
std::string describe(const char* side, const std::vector<ane::LegalBuffer>& buffers,
                     const std::vector<ane::LegalPort>& ports) {
  std::string text;
  for (std::size_t buffer = 0; buffer < buffers.size(); ++buffer) {
    text +=
        fmt::format("  {}  {} {}", side, buffers[buffer].name, buffers[buffer].type.to_string());
    std::string_view separator = ":";
    for (const ane::LegalPort& port : ports) {
      if (port.buffer != static_cast<int>(buffer)) continue;
      text += fmt::format("{} {}", separator, port.name);
      if (port.channel > 0) text += fmt::format(" from {}", port.channel);
      separator = ",";
    }
    text += "\n";
  }
  return text;
}

void export_legal(const ExportFlags& flags, nn::Kernel& kernel, mil::ConstantSource& constants,
                  const std::filesystem::path& folder) {
  ane::LegalizeOptions options;
  options.name = kernel.name;
  options.pack_io = flags.io == "packed";
  options.constants = &constants;
  const ane::LegalizedProgram legal = ane::legalize(
      std::move(kernel.program), ane::find_target(flags.target, flags.macos), options);
  throw_if_failed(ane::write_model_folder(legal, constants, folder));
  const ane::LegalFunction& function = legal.functions.front();
  fmt::print("{}\n{}{}", folder.string(), describe("in ", function.input_buffers, function.inputs),
             describe("out", function.output_buffers, function.outputs));
  for (const ane::LegalNote& note : legal.notes)
    fmt::print("  {}: {} (rule {})\n", note.where, note.text, note.rule);
}

int run(const ExportFlags& flags) {
  if (!flags.config.given()) throw UsageError("no config is given", "--config", "a TOML file");
  if (flags.out.empty()) throw UsageError("no folder is given", "--out", "a folder to write");
  const train::RunConfig config = flags.config.load();
  const std::string partition = config.engine.partition.empty() ? "six" : config.engine.partition;

  train::ParameterList parameters(nn::model_step(config.model, partition), train::Holds::values);
  train::set_initial_weights(parameters, config, flags.checkpoint);
  mil::ConstantSource constants(&parameters.weights());
  for (nn::Kernel& kernel : nn::model_kernels(config.model, partition)) {
    const std::filesystem::path folder = std::filesystem::path(flags.out) / kernel.name;
    (flags.target.empty() ? export_plain : export_legal)(flags, kernel, constants, folder);
  }
  return kExitOk;
}

Run setup_export(CLI::App& app) {
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
  app.add_option("--target", flags->target,
                 "Write what the Neural Engine of this chip gets: h13 to h17, or m1 to m5")
      ->type_name("T");
  app.add_option("--macos", flags->macos, "With --target: the version of macOS, as in 15 or 26.3")
      ->type_name("V");
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
    "--out kernels\n"
    "  anemone export --config configs/layer.toml --target m4 --out kernels",
    setup_export};

}  // namespace anemone::cli

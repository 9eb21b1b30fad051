// `anemone convert`: a trained model as other software reads it.
#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <string>

#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/model_argument.h"
#include "anemone/model/model_file.h"

namespace anemone::cli {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string model, out, to;
};

model::ModelFormat format_of(const Flags& flags) {
  if (flags.to == "llama2c") return model::ModelFormat::llama2c;
  if (flags.to == "hf") return model::ModelFormat::hugging_face;
  return fs::path(flags.out).extension() == ".bin" ? model::ModelFormat::llama2c
                                                   : model::ModelFormat::hugging_face;
}

int run(const Flags& flags) {
  std::error_code ignored;
  if (fs::equivalent(flags.model, flags.out, ignored))
    throw UsageError("the model would be written over itself", "OUT", "another name");
  const model::ModelFile file = read_model_argument(flags.model);
  const model::ModelFormat format = format_of(flags);
  const Status status = model::write_model(flags.out, format, file.config, file.tensors);
  if (!status.ok()) throw Error(status.message);
  fmt::print("{}: {}, as {}\n", flags.out, file.description,
             format == model::ModelFormat::llama2c ? "a llama2.c model" : "a Hugging Face llama");
  return kExitOk;
}

Run setup(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("model", flags->model,
                 "A llama2.c .bin file, a folder of a Hugging Face llama, a run folder, or a "
                 "checkpoint")
      ->type_name("MODEL")
      ->required();
  app.add_option("out", flags->out,
                 "A .bin file, which is replaced, or a folder, which must not be there yet")
      ->type_name("OUT")
      ->required();
  app.add_option("--to", flags->to,
                 "llama2c: one .bin file; hf: a folder with config.json and model.safetensors; "
                 "default: llama2c if OUT ends in .bin")
      ->check(CLI::IsMember({"llama2c", "hf"}))
      ->type_name("llama2c|hf");
  return [flags] { return run(*flags); };
}

}  // namespace

const Command convert_command = {"convert",
                                 "Write a trained model as llama2.c's or Hugging Face's file",
                                 "  anemone convert runs/tiny tiny.bin\n"
                                 "  anemone convert runs/tiny/best tiny-llama\n"
                                 "  anemone convert stories15M.bin stories15M-llama\n"
                                 "  anemone convert stories15M-llama back.bin",
                                 setup};

}  // namespace anemone::cli

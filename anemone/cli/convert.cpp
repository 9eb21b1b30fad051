// `anemone convert`: a trained model as other software reads it.
#include <fmt/core.h>
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>

#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/model_argument.h"
#include "anemone/model/find_tokenizer.h"
#include "anemone/model/model_file.h"

namespace anemone::cli {
namespace {

namespace fs = std::filesystem;

struct ConvertFlags {
  std::string model, out, to, tokenizer;
};

model::ModelFormat format_of(const ConvertFlags& flags) {
  if (flags.to == "llama2c") return model::ModelFormat::llama2c;
  if (flags.to == "hf") return model::ModelFormat::hugging_face;
  return fs::path(flags.out).extension() == ".bin" ? model::ModelFormat::llama2c
                                                   : model::ModelFormat::hugging_face;
}

// The vocabulary to copy; nothing where the model's are bytes, or none is found, which is said.
std::string vocabulary_of(const ConvertFlags& flags, const model::ModelFile& file) {
  const model::TokenizerWish wish = {flags.model, file.config.vocab, file.tokenizer,
                                     flags.tokenizer};
  try {
    const model::FoundTokenizer found = model::find_tokenizer(wish);
    const auto tokens = std::int64_t{found.tokenizer->vocabulary()};
    // A run's own may have fewer; no other format says so.
    if (tokens == file.config.vocab) return found.name == "bytes" ? "" : found.name;
    throw Error(fmt::format("this tokenizer has {} tokens", tokens), found.name,
                fmt::format("{}, as the model", file.config.vocab));
  } catch (const Error& error) {
    if (!flags.tokenizer.empty()) throw;
    fmt::print(stderr, "anemone: note: no tokenizer is copied: {}\n", error.what());
    if (const fs::path old = model::tokenizer_beside(flags.out); fs::exists(old))
      fmt::print(stderr, "anemone: note: {} stays, and generate will take it\n", old.string());
    return "";
  }
}

int run(const ConvertFlags& flags) {
  std::error_code ignored;
  if (fs::equivalent(flags.model, flags.out, ignored))
    throw UsageError("the model would be written over itself", "OUT", "another name");
  const model::ModelFile file = read_model_argument(flags.model);
  const model::ModelFormat format = format_of(flags);
  const std::string vocabulary = vocabulary_of(flags, file);
  const Status status =
      model::write_model(flags.out, format, file.config, file.tensors, vocabulary);
  if (!status.ok()) throw Error(status.message);
  fmt::print("{}: {}, as {}{}\n", flags.out, file.description,
             format == model::ModelFormat::llama2c ? "a llama2.c model" : "a Hugging Face llama",
             vocabulary.empty() ? "" : ", with the tokenizer " + vocabulary);
  return kExitOk;
}

Run setup_convert(CLI::App& app) {
  auto flags = std::make_shared<ConvertFlags>();
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
  app.add_option("--tokenizer", flags->tokenizer,
                 "The vocabulary to put beside OUT; default: the one that generate would take")
      ->type_name("FILE");
  return [flags] { return run(*flags); };
}

}  // namespace

const Command convert_command = {"convert",
                                 "Write a trained model as llama2.c's or Hugging Face's file",
                                 "  anemone convert runs/tiny tiny.bin\n"
                                 "  anemone convert runs/tiny/best tiny-llama\n"
                                 "  anemone convert stories15M.bin stories15M-llama\n"
                                 "  anemone convert stories15M-llama back.bin\n"
                                 "\n"
                                 "The tokenizer is copied, too: to OUT/tokenizer.bin, or for "
                                 "tiny.bin to tiny.tokenizer.bin, where\n"
                                 "generate finds it.",
                                 setup_convert};

}  // namespace anemone::cli

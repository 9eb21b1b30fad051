// `anemone tokenize`: text as files of token ids.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "anemone/base/counted.h"
#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/input_text.h"
#include "anemone/cli/status_line.h"
#include "anemone/text/documents.h"
#include "anemone/text/token_file.h"
#include "anemone/text/tokenizer.h"

namespace anemone::cli {
namespace {

namespace fs = std::filesystem;

struct TokenizeFlags {
  std::vector<std::string> inputs;
  std::string tokenizer = "bytes", out, separator{text::kSeparator};
  bool print_ids = false;
};

class Job {
 public:
  Job(const TokenizeFlags& flags, const text::Tokenizer& tokenizer, std::uint64_t bytes)
      : flags_(flags),
        tokenizer_(tokenizer),
        bytes_(bytes),
        writer_(flags.out, tokenizer.vocabulary()),
        encoder_(tokenizer, flags.separator,
                 [this](std::span<const text::TokenId> ids) { writer_.write(ids); }) {}

  void file(const std::string& input) {
    const InputText text(input);
    encoder_.add(text.view(), [this] { show_progress(); });
  }

  void finish() {
    if (const Status status = writer_.finish(); !status.ok()) throw Error(status.message);
    status_.clear();
    fmt::print("{}: {} of {}, {} ({:.2f} bytes a token)\n", flags_.out,
               counted(writer_.written(), "token"), counted(encoder_.documents(), "document"),
               tokenizer_.describe(),
               static_cast<double>(encoder_.bytes()) /
                   static_cast<double>(std::max<std::uint64_t>(1, writer_.written())));
  }

 private:
  void show_progress() {
    if (bytes_ == 0 || !status_.is_due()) return;
    const auto done = static_cast<double>(encoder_.bytes());
    status_.draw(
        std::min(1.0, done / static_cast<double>(bytes_)),
        fmt::format("{} tokens | {:.1f} MB/s", writer_.written(), done / 1e6 / status_.seconds()));
  }

  const TokenizeFlags& flags_;
  const text::Tokenizer& tokenizer_;
  std::uint64_t bytes_;  // of all files; 0 = unknown
  text::TokenWriter writer_;
  text::DocumentEncoder encoder_;
  StatusLine status_;
};

void print_ids(const text::Tokenizer& tokenizer, std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    fmt::print("{}\n", fmt::join(tokenizer.encode(text.substr(0, end)), " "));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

int run(const TokenizeFlags& flags) {
  if (flags.print_ids == !flags.out.empty())
    throw UsageError("where the ids go is not clear", "--out", "either --out FILE or --print-ids");
  const auto tokenizer = text::load_tokenizer(flags.tokenizer);
  const std::vector<std::string> files = text::text_files(flags.inputs);
  if (flags.print_ids) {
    for (const std::string& file : files) print_ids(*tokenizer, InputText(file).view());
    return kExitOk;
  }
  std::uint64_t bytes = 0;
  std::error_code unknown;
  for (const std::string& file : files) {
    const std::uint64_t size = fs::file_size(file, unknown);
    if (!unknown) bytes += size;
  }
  Job job(flags, *tokenizer, bytes);
  for (const std::string& file : files) job.file(file);
  job.finish();
  return kExitOk;
}

Run setup_tokenize(CLI::App& app) {
  auto flags = std::make_shared<TokenizeFlags>();
  app.add_option("input", flags->inputs, "Text files, folders of them, or - for standard input")
      ->required()
      ->type_name("TEXT");
  app.add_option("--tokenizer", flags->tokenizer,
                 "bytes, or a vocabulary in llama2.c's tokenizer.bin format")
      ->type_name("bytes|FILE")
      ->capture_default_str();
  app.add_option("--out,-o", flags->out, "File of token ids to write")->type_name("FILE");
  app.add_option("--separator", flags->separator,
                 "What stands between the documents of a file; empty: a file is one document")
      ->type_name("TEXT")
      ->capture_default_str();
  app.add_flag("--print-ids", flags->print_ids,
               "Print the ids instead: every line of the input is a document, and a line of ids");
  return [flags] { return run(*flags); };
}

}  // namespace

const Command tokenize_command = {
    "tokenize", "Turn text into files of token ids",
    "  anemone tokenize book.txt --out book.tokens\n"
    "  anemone tokenize stories/ --tokenizer tokenizer.bin --out stories.tokens\n"
    "  echo 'Once upon a time' | anemone tokenize - --tokenizer tokenizer.bin --print-ids\n"
    "\n"
    "Every document begins with the vocabulary's token for that, if there is one. Bytes are taken "
    "as they are,\n"
    "separators included.",
    setup_tokenize};

}  // namespace anemone::cli

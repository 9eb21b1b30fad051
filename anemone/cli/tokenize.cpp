// `anemone tokenize`: text as files of token ids.
#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "anemone/base/counted.h"
#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/input_text.h"
#include "anemone/text/token_file.h"
#include "anemone/text/tokenizer.h"

namespace anemone::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPartBytes = std::size_t{1} << 20;

struct Flags {
  std::vector<std::string> inputs;
  std::string tokenizer = "bytes", out, separator = "<|endoftext|>";
  bool print_ids = false;
};

// Folders become the files below them, in the order of their names.
std::vector<std::string> files_of(const std::vector<std::string>& inputs) {
  std::vector<std::string> files;
  for (const std::string& input : inputs) {
    if (!fs::is_directory(input)) {
      files.push_back(input);
      continue;
    }
    const std::size_t before = files.size();
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(input)) {
      if (entry.is_regular_file()) files.push_back(entry.path().string());
    }
    if (files.size() == before) throw Error("there are no files below it", input);
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
  }
  return files;
}

class Job {
 public:
  Job(const Flags& flags, const text::Tokenizer& tokenizer, std::uint64_t bytes)
      : flags_(flags), tokenizer_(tokenizer), bytes_(bytes), writer_(flags.out, vocabulary()) {}

  void file(const std::string& input) {
    const InputText text(input);
    std::string_view rest = text.view();
    // Without a token that begins a document there is nothing to put in the separator's place.
    const bool separated = tokenizer_.begin().has_value() && !flags_.separator.empty();
    while (!rest.empty()) {
      const std::size_t end = separated ? rest.find(flags_.separator) : std::string_view::npos;
      document(rest.substr(0, end));
      if (end == std::string_view::npos) return;
      rest.remove_prefix(end + flags_.separator.size());
      if (rest.starts_with('\n')) rest.remove_prefix(1);
    }
  }

  void finish() {
    if (const Status status = writer_.finish(); !status.ok()) throw Error(status.message);
    if (shown_) fmt::print(stderr, "\r\033[K");
    fmt::print("{}: {} of {}, {} ({:.2f} bytes a token)\n", flags_.out,
               counted(writer_.written(), "token"), counted(documents_, "document"),
               tokenizer_.describe(),
               static_cast<double>(done_) /
                   static_cast<double>(std::max<std::uint64_t>(1, writer_.written())));
  }

 private:
  std::uint64_t vocabulary() const { return tokenizer_.vocabulary(); }

  void document(std::string_view rest) {
    if (rest.empty()) return;
    ++documents_;
    for (bool first = true; !rest.empty(); first = false) {
      const std::size_t size = tokenizer_.cut(rest, kPartBytes);
      ids_.clear();
      tokenizer_.append(rest.substr(0, size), first, ids_);
      writer_.write(ids_);
      rest.remove_prefix(size);
      done_ += size;
      show_progress();
    }
  }

  void show_progress() {
    if (isatty(STDERR_FILENO) != 1 || bytes_ == 0 || Clock::now() < next_) return;
    next_ = Clock::now() + std::chrono::milliseconds(200);
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(bytes_));
    fmt::print(stderr, "\r\033[K{:.0f} % | {} tokens | {:.1f} MB/s | ETA {:.0f} s", 100 * share,
               writer_.written(), static_cast<double>(done_) / 1e6 / seconds,
               seconds / share - seconds);
    shown_ = true;
  }

  const Flags& flags_;
  const text::Tokenizer& tokenizer_;
  std::uint64_t bytes_, done_ = 0, documents_ = 0;  // bytes_: of all files; 0 = unknown
  text::TokenWriter writer_;
  std::vector<text::TokenId> ids_;
  Clock::time_point start_ = Clock::now(), next_ = start_ + std::chrono::seconds(1);
  bool shown_ = false;
};

void print_ids(const text::Tokenizer& tokenizer, std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    fmt::print("{}\n", fmt::join(tokenizer.encode(text.substr(0, end)), " "));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

int run(const Flags& flags) {
  if (flags.print_ids == !flags.out.empty())
    throw UsageError("where the ids go is not clear", "--out", "either --out FILE or --print-ids");
  const auto tokenizer = text::load_tokenizer(flags.tokenizer);
  const std::vector<std::string> files = files_of(flags.inputs);
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

Run setup(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
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
    setup};

}  // namespace anemone::cli

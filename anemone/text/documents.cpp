// Finding text files, and cutting them into documents.
#include "anemone/text/documents.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "anemone/base/error.h"

namespace anemone::text {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kPartBytes = std::size_t{1} << 20;

// In the order of their names.
std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> files;
  fs::path reached = folder;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    reached = entry->path();
    std::error_code unknown;  // also of a link to nothing, which is no file
    const fs::file_status status = entry->status(unknown);
    if (fs::is_regular_file(status)) files.push_back(reached.string());
    if (fs::status_known(status)) continue;
    error = unknown;
    break;
  }
  if (error)
    throw Error("cannot read: " + error.message(), reached.string(),
                "files and folders that can be read");
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<std::string> text_files(std::span<const std::string> files_and_folders) {
  std::vector<std::string> files;
  for (const std::string& input : files_and_folders) {
    std::error_code ignored;  // whoever opens it says what is wrong
    if (!fs::is_directory(input, ignored)) {
      files.push_back(input);
      continue;
    }
    const std::vector<std::string> below = files_below(input);
    if (below.empty()) throw Error("there are no files below it", input);
    files.insert(files.end(), below.begin(), below.end());
  }
  return files;
}

DocumentEncoder::DocumentEncoder(const Tokenizer& tokenizer, std::string separator, Sink sink)
    : tokenizer_(tokenizer), separator_(std::move(separator)), sink_(std::move(sink)) {}

void DocumentEncoder::add(std::string_view text, const std::function<void()>& part_done) {
  // Without a token that begins a document there is nothing to put in the separator's place.
  const bool separated = tokenizer_.begin().has_value() && !separator_.empty();
  while (!text.empty()) {
    const std::size_t end = separated ? text.find(separator_) : std::string_view::npos;
    document(text.substr(0, end), part_done);
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + separator_.size());
    if (text.starts_with('\n')) text.remove_prefix(1);
  }
}

void DocumentEncoder::document(std::string_view rest, const std::function<void()>& part_done) {
  if (rest.empty()) return;
  ++documents_;
  for (bool first = true; !rest.empty(); first = false) {
    const std::size_t size = tokenizer_.cut(rest, kPartBytes);
    ids_.clear();
    tokenizer_.append(rest.substr(0, size), first, ids_);
    sink_(ids_);
    rest.remove_prefix(size);
    bytes_ += size;
    if (part_done) part_done();
  }
}

}  // namespace anemone::text

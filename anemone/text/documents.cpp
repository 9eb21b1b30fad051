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

}  // namespace

std::vector<std::string> text_files(std::span<const std::string> files_and_folders) {
  std::vector<std::string> files;
  for (const std::string& input : files_and_folders) {
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

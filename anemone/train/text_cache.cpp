// Making and finding cached token files.
#include "anemone/train/text_cache.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "anemone/base/hash.h"
#include "anemone/text/documents.h"
#include "anemone/text/token_file.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;

// Part of every name: another number where the same text would become other ids.
constexpr std::string_view kVersion = "anemone text 1";

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

void add_file(ContentHash& hash, const MappedFile& file) {
  // The size keeps apart what would be the same in a row.
  hash.update(bytes_of(fmt::format("\n{}\n", file.bytes().size())));
  hash.update(file.bytes());
}

// Does a cache file read well? Why not, otherwise.
std::string damage_of(const fs::path& path, std::uint64_t vocabulary) {
  try {
    const text::TokenFile file(path, vocabulary);
    return file.vocabulary() == vocabulary ? "" : "it has another vocabulary";
  } catch (const Error& error) {
    return error.what();
  }
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error("cannot create the cache's folder: " + error.message(), folder.string());
}

}  // namespace

fs::path cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return fs::path(value == nullptr ? "" : value);
  };
  if (const fs::path cache = variable("XDG_CACHE_HOME"); cache.is_absolute())
    return cache / "anemone";
  if (const fs::path home = variable("HOME"); home.is_absolute()) return home / ".cache/anemone";
  return fs::temp_directory_path() / "anemone";
}

CachedText cache_text(std::span<const std::string> files_and_folders, const std::string& tokenizer,
                      const fs::path& folder, const std::function<void()>& poll) {
  const auto encoder = text::load_tokenizer(tokenizer);
  CachedText cached;
  ContentHash hash;
  hash.update(bytes_of(kVersion));
  if (fs::exists(tokenizer)) add_file(hash, MappedFile(tokenizer));
  const std::vector<std::string> files = text::text_files(files_and_folders);
  for (const std::string& file : files) {
    if (poll) poll();
    const MappedFile content(file);
    add_file(hash, content);
    cached.bytes += content.bytes().size();
  }
  cached.files = files.size();
  if (cached.bytes == 0)
    throw Error("there is no text", fmt::format("{}", fmt::join(files_and_folders, ", ")),
                "files that are not empty");
  cached.hash = hash.hex();
  cached.tokens = folder / (cached.hash + ".tokens");
  const std::uint64_t vocabulary = encoder->vocabulary();
  if (fs::exists(cached.tokens)) {
    cached.replaced = damage_of(cached.tokens, vocabulary);
    if (cached.replaced.empty()) return cached;
  }
  make_folder(folder);
  text::TokenWriter writer(cached.tokens, vocabulary);
  text::DocumentEncoder documents(*encoder, std::string(text::kSeparator),
                                  [&](std::span<const text::TokenId> ids) { writer.write(ids); });
  for (const std::string& file : files) {
    const MappedFile content(file);
    const auto bytes = content.bytes();
    documents.add({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, poll);
  }
  if (const Status status = writer.finish(); !status.ok()) throw Error(status.message);
  cached.made = true;
  return cached;
}

}  // namespace anemone::train

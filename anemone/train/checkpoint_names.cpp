// Reading the names in RUN/checkpoints.
#include "anemone/train/checkpoint_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <system_error>

#include "anemone/base/error.h"
#include "anemone/base/file.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;
constexpr const char* kPrefix = "step-";

// Reads "step-00000400" or "step-00000400.old".
std::optional<FoundCheckpoint> parse_name(std::string name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  FoundCheckpoint found;
  const char* begin = name.data() + std::strlen(kPrefix);
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(begin, end, found.step);
  if (error != std::errc() || rest == begin) return std::nullopt;
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  if (!suffix.empty() && suffix != kReplacedSuffix) return std::nullopt;
  found.replaced = !suffix.empty();
  if (name != checkpoint_name(found.step) + (found.replaced ? kReplacedSuffix : "")) {
    return std::nullopt;
  }
  found.name = std::move(name);
  return found;
}

// Of a run folder: the checkpoint that `file` names, or the newest where LATEST is damaged.
fs::path named_in_run(const fs::path& run, const char* file) {
  const fs::path directory = run / "checkpoints";
  const std::vector<FoundCheckpoint> all = list_checkpoints(directory);
  if (const auto name = read_name(directory, file)) {
    if (const auto found = find_named(all, *name)) return directory / found->name;
  }
  if (file == kLatestFile && !all.empty()) return directory / all.front().name;
  throw Error(fmt::format("this run has no {} checkpoint{}", file == kLatestFile ? "such" : "best",
                          file == kLatestFile ? "" : ": no validation has chosen one"),
              run.string());
}

}  // namespace

const char* mark_file(Mark mark) { return mark == Mark::best ? "BEST" : "GOOD"; }

std::string checkpoint_name(std::uint64_t step) { return fmt::format("{}{:08}", kPrefix, step); }

std::vector<FoundCheckpoint> list_checkpoints(const fs::path& directory) {
  std::vector<FoundCheckpoint> all;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (auto found = parse_name(entry->path().filename().string())) {
      all.push_back(std::move(*found));
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw Error("cannot list: " + error.message(), directory.string());
  }
  std::sort(all.begin(), all.end(), [](const FoundCheckpoint& a, const FoundCheckpoint& b) {
    return a.step != b.step ? a.step > b.step : a.replaced < b.replaced;
  });
  return all;
}

std::optional<std::string> read_name(const fs::path& directory, const char* file) {
  std::error_code error;
  if (!fs::exists(directory / file, error)) return std::nullopt;
  std::string name = read_text_file(directory / file);
  if (name.ends_with('\n')) name.pop_back();
  return name;
}

std::optional<FoundCheckpoint> find_named(const std::vector<FoundCheckpoint>& all,
                                          const std::string& name) {
  for (const std::string& wanted : {name, name + kReplacedSuffix}) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const FoundCheckpoint& candidate) {
      return candidate.name == wanted;
    });
    if (found != all.end()) return *found;
  }
  return std::nullopt;
}

std::optional<fs::path> find_checkpoint(const fs::path& given) {
  if (given.empty()) return std::nullopt;
  if (fs::exists(given / "manifest.json")) return given;
  if (fs::is_directory(given / "checkpoints")) {
    const bool has_best = read_name(given / "checkpoints", mark_file(Mark::best)).has_value();
    return named_in_run(given, has_best ? mark_file(Mark::best) : kLatestFile);
  }
  const fs::path run = given.parent_path();
  if (fs::exists(given) || !fs::is_directory(run / "checkpoints")) return std::nullopt;
  if (given.filename() == "best") return named_in_run(run, mark_file(Mark::best));
  if (given.filename() == "last") return named_in_run(run, kLatestFile);
  return std::nullopt;
}

}  // namespace anemone::train

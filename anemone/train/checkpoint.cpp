// Saving and loading checkpoints. The order of the system calls here is the promise: see the header
// and docs/checkpoints.md; tests/train/checkpoint_fault_test.cpp fails each of them in turn.
#include "anemone/train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "anemone/base/file.h"
#include "anemone/base/hash.h"
#include "anemone/train/checkpoint_manifest.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;
constexpr const char* kState = "state.json";
constexpr const char* kTensors = "tensors.safetensors";
constexpr const char* kManifest = "manifest.json";
constexpr const char* kTemporary = ".tmp";  // being written, or being removed

// Maps a file of the checkpoint if it is what the manifest says.
MappedFile verified_file(const fs::path& directory, const Manifest& manifest, const char* name) {
  const auto entry = std::find_if(manifest.files.begin(), manifest.files.end(),
                                  [&](const FileEntry& file) { return file.name == name; });
  if (entry == manifest.files.end()) {
    throw Error(std::string("says nothing of ") + name, kManifest, "its size and hash");
  }
  MappedFile file(directory / name);
  const std::size_t size = file.bytes().size();
  if (entry->bytes != size) {
    throw Error(fmt::format("{} bytes, manifest says {}", size, entry->bytes), name);
  }
  const std::string hash = content_hash(file.bytes());
  if (entry->hash != hash) {
    throw Error(fmt::format("hash {}, manifest says {}", hash, entry->hash), name);
  }
  return file;
}

Status status_of(const std::error_code& error, const fs::path& path, const char* action) {
  if (!error) return {};
  return Status::failure(fmt::format("{}: cannot {}: {}", path.string(), action, error.message()));
}

// Removes without complaint: what stays is stale, and the next save tries again.
void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

// Removes a complete checkpoint: first its name, so that a crash in between leaves no damaged one.
void retire(const fs::path& path) {
  fs::path temporary = path;
  temporary += kTemporary;
  remove_quietly(temporary);
  std::error_code error;
  fs::rename(path, temporary, error);
  if (!error) remove_quietly(temporary);
}

void remove_stale(const fs::path& directory) {
  std::vector<fs::path> stale;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == kTemporary) stale.push_back(entry->path());
  }
  for (const fs::path& path : stale) remove_quietly(path);
}

// A crash between the two renames of a replacement left the one that stepped aside: it takes its
// name again, so that what names it finds it.
Status restore_replaced(const fs::path& directory) {
  const std::vector<FoundCheckpoint> all = list_checkpoints(directory);
  for (const FoundCheckpoint& found : all) {
    if (!found.replaced) continue;
    const std::string name = checkpoint_name(found.step);
    if (find_named(all, name)->name == name) continue;
    Status status = rename_durably(directory / found.name, directory / name);
    if (!status.ok()) return status;
  }
  return {};
}

Status check_space(const fs::path& directory, std::uint64_t needed) {
  constexpr double kMegabyte = 1e6;
  try {
    const std::uint64_t free = free_disk_bytes(directory);
    if (free >= needed) return {};
    return Status::failure(fmt::format(
        "{}: a checkpoint needs {:.1f} MB and the disk has {:.1f} MB free", directory.string(),
        static_cast<double>(needed) / kMegabyte, static_cast<double>(free) / kMegabyte));
  } catch (const Error& error) {
    return Status::failure(error.what());
  }
}

// Makes RUN/checkpoints and makes its name durable.
Status ensure_directory(const fs::path& directory) {
  std::error_code error;
  if (!fs::create_directory(directory, error)) return status_of(error, directory, "create");
  return sync_directory(directory.parent_path());
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path run_directory, int keep)
    : directory_(fs::absolute(run_directory) / "checkpoints"), keep_(std::max(keep, 1)) {}

std::uint64_t CheckpointStore::bytes_needed(const CheckpointContents& contents) {
  constexpr std::uint64_t kBlock = 4096,
                          kSmallFiles = 16 * kBlock;  // manifest, LATEST, directories
  const auto blocks = [](std::uint64_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; };
  std::uint64_t tensors = safetensors_header_bytes(contents.tensors);
  for (const NamedTensor& named : contents.tensors) tensors += named.tensor.data.size();
  return blocks(tensors) + blocks(contents.state_json.size()) + kSmallFiles;
}

Status CheckpointStore::save(const CheckpointContents& contents) {
  if (Status status = ensure_directory(directory_); !status.ok()) return status;
  remove_stale(directory_);
  if (Status status = restore_replaced(directory_); !status.ok()) return status;
  if (Status status = check_space(directory_, bytes_needed(contents)); !status.ok()) return status;
  const std::string name = checkpoint_name(contents.step);
  const fs::path temporary = directory_ / (name + kTemporary);
  Status status = write_directory(contents, temporary, directory_ / name);
  if (status.ok()) status = publish(temporary, name);
  for (const Mark mark : contents.marks) {
    if (status.ok()) status = write_file_atomically(directory_ / mark_file(mark), name + "\n");
  }
  if (!status.ok()) {
    remove_stale(directory_);
    return status;
  }
  remove_superseded(contents.step);
  return {};
}

Status CheckpointStore::write_directory(const CheckpointContents& contents,
                                        const fs::path& directory, const fs::path& shown) const {
  std::error_code error;
  if (!fs::create_directory(directory, error)) {
    if (!error) error = std::make_error_code(std::errc::file_exists);
    return status_of(error, shown, "create");
  }
  Manifest manifest{contents.step, {}};
  const auto finish = [&](const char* name, FileWriter& writer) {
    manifest.files.push_back({name, writer.bytes_written(), writer.hash()});
    return writer.finish();
  };
  FileWriter state(directory / kState, shown / kState);
  state.write(contents.state_json);
  if (Status status = finish(kState, state); !status.ok()) return status;
  FileWriter tensors(directory / kTensors, shown / kTensors);
  write_safetensors(tensors, contents.tensors);
  if (Status status = finish(kTensors, tensors); !status.ok()) return status;

  FileWriter last(directory / kManifest, shown / kManifest);
  last.write(to_text(manifest));
  if (Status status = last.finish(); !status.ok()) return status;
  return sync_directory(directory);
}

Status CheckpointStore::publish(const fs::path& temporary, const std::string& name) const {
  const fs::path final_name = directory_ / name;
  std::error_code error;
  if (fs::exists(final_name, error)) {
    // A folder cannot be renamed over another: the old one steps aside, still loadable.
    const fs::path replaced = directory_ / (name + kReplacedSuffix);
    retire(replaced);
    if (Status status = rename_durably(final_name, replaced); !status.ok()) return status;
  }
  if (Status status = rename_durably(temporary, final_name); !status.ok()) return status;
  return write_file_atomically(directory_ / kLatestFile, name + "\n");
}

void CheckpointStore::remove_superseded(std::uint64_t newest) const {
  std::vector<std::string> marked;
  for (const Mark mark : kMarks) {
    if (auto name = read_name(directory_, mark_file(mark))) marked.push_back(std::move(*name));
  }
  int kept = 0;
  for (const FoundCheckpoint& found : list_checkpoints(directory_)) {
    const bool given_up = found.step > newest || found.replaced;
    if (!given_up && kept < keep_) {
      ++kept;
    } else if (given_up || std::find(marked.begin(), marked.end(), found.name) == marked.end()) {
      retire(directory_ / found.name);
    }
  }
}

Status CheckpointStore::set_mark(Mark mark, std::uint64_t step) {
  const fs::path file = directory_ / mark_file(mark);
  const std::string name = checkpoint_name(step);
  if (find_named(list_checkpoints(directory_), name)) {
    return read_name(directory_, mark_file(mark)) == name
               ? Status()
               : write_file_atomically(file, name + "\n");
  }
  return clear_mark(mark);
}

Status CheckpointStore::clear_mark(Mark mark) {
  const fs::path file = directory_ / mark_file(mark);
  std::error_code error;
  fs::remove(file, error);
  return status_of(error, file, "remove");
}

std::optional<std::uint64_t> CheckpointStore::marked_step(Mark mark) const {
  const auto name = read_name(directory_, mark_file(mark));
  if (!name) return std::nullopt;
  const auto found = find_named(list_checkpoints(directory_), *name);
  return found ? std::optional(found->step) : std::nullopt;
}

std::optional<LoadedCheckpoint> CheckpointStore::load_marked(Mark mark) const {
  const auto name = read_name(directory_, mark_file(mark));
  if (!name) return std::nullopt;
  const auto found = find_named(list_checkpoints(directory_), *name);
  if (!found) return std::nullopt;
  return load(directory_ / found->name);
}

Status CheckpointStore::return_to(std::uint64_t step) {
  Status status = restore_replaced(directory_);
  if (status.ok())
    status = write_file_atomically(directory_ / kLatestFile, checkpoint_name(step) + "\n");
  if (status.ok()) remove_superseded(step);
  return status;
}

LoadedCheckpoint CheckpointStore::load(const fs::path& directory) {
  const auto refuse = [&](const Error& error) -> Error {
    return Error(fmt::format("cannot use this checkpoint: {}", error.what()), directory.string());
  };
  try {
    const Manifest manifest = parse_manifest(read_text_file(directory / kManifest));
    const MappedFile state = verified_file(directory, manifest, kState);
    MappedFile tensors = verified_file(directory, manifest, kTensors);
    std::string text(reinterpret_cast<const char*>(state.bytes().data()), state.bytes().size());
    return {directory,
            std::move(text),
            SafetensorsReader(std::move(tensors), (directory / kTensors).string()),
            {}};
  } catch (const Error& error) {
    throw refuse(error);
  }
}

LoadedCheckpoint CheckpointStore::load_given(const fs::path& directory) {
  try {
    return load(directory);
  } catch (const Error& error) {
    for (const FoundCheckpoint& other : list_checkpoints(directory.parent_path())) {
      const fs::path path = directory.parent_path() / other.name;
      if (other.name != directory.filename())
        throw Error(error.problem(), error.where(), "another one, for example " + path.string());
    }
    throw;
  }
}

std::optional<LoadedCheckpoint> CheckpointStore::load_latest() const {
  std::vector<FoundCheckpoint> candidates = list_checkpoints(directory_);
  if (candidates.empty()) return std::nullopt;
  std::vector<std::string> refused;
  try {
    std::string latest = read_text_file(directory_ / kLatestFile);
    if (latest.ends_with('\n')) latest.pop_back();
    const auto named =
        std::find_if(candidates.begin(), candidates.end(),
                     [&](const FoundCheckpoint& found) { return found.name == latest; });
    if (named == candidates.end()) {
      refused.push_back(fmt::format("{}: names '{}', which is not there",
                                    (directory_ / kLatestFile).string(), latest.substr(0, 80)));
    } else {
      std::rotate(candidates.begin(), named, named + 1);
    }
  } catch (const Error& error) {
    refused.emplace_back(error.what());
  }
  for (const FoundCheckpoint& candidate : candidates) {
    try {
      LoadedCheckpoint loaded = load(directory_ / candidate.name);
      loaded.refused = std::move(refused);
      return loaded;
    } catch (const Error& error) {
      refused.emplace_back(error.what());
    }
  }
  throw Error(fmt::format("no checkpoint can be used:\n  {}", fmt::join(refused, "\n  ")),
              directory_.string());
}

Status CheckpointStore::set_aside() {
  fs::path aside = directory_;
  aside += kReplacedSuffix;
  std::error_code error;
  if (!fs::exists(directory_, error)) return status_of(error, directory_, "look at");
  fs::remove_all(aside, error);
  if (error) return status_of(error, aside, "remove");
  return rename_durably(directory_, aside);
}

}  // namespace anemone::train

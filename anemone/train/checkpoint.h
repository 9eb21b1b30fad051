// Checkpoints: directories that a crash, a full disk or kill -9 at any moment cannot spoil.
// docs/checkpoints.md describes the files.
//
//   RUN/checkpoints/step-00000400/
//     state.json           the trainer's state: counters, loss scale, data cursor, offset into
//                          metrics.jsonl, …
//     tensors.safetensors  master weights, optimizer state, a half-accumulated gradient
//     manifest.json        written last: format version, and size and XXH3-128 of each file
//   RUN/checkpoints/LATEST the name of the newest complete one, replaced atomically
//   RUN/checkpoints/BEST   likewise, of the one with the lowest validation loss
//   (checkpoint_names.h)
//
// A save writes into step-….tmp beside the final name, syncs every file and the directory, renames,
// syncs the parent, then replaces LATEST and the marks, and only then removes old checkpoints.
// Loading verifies sizes and hashes before use; a damaged checkpoint is refused with the reason and
// the one before it is used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "anemone/base/safetensors.h"
#include "anemone/train/checkpoint_names.h"

namespace anemone::train {

struct CheckpointContents {
  std::uint64_t step = 0;  // names the directory
  std::string state_json;
  std::vector<NamedTensor> tensors;  // memory must stay unchanged during the save
  std::vector<Mark> marks = {};      // that name it from now on
};

struct LoadedCheckpoint {
  std::filesystem::path directory;
  std::string state_json;
  SafetensorsReader tensors;
  std::vector<std::string> refused;  // why newer ones were not used
};

class CheckpointStore {
 public:
  // Writes nothing yet. The `keep` newest are kept, one at least, and those that have a mark.
  CheckpointStore(std::filesystem::path run_directory, int keep);

  // Failure (a full disk, …) leaves the previous checkpoint as it was and no half-written files
  // behind where possible. Asks for the space first. A save at a step that is there already
  // replaces it; checkpoints of later steps belong to a course of the run that was given up, and
  // are removed.
  Status save(const CheckpointContents& contents);

  // The newest checkpoint that verifies; nothing if there is none at all. Throws Error when there
  // are some but all are damaged, naming each reason.
  std::optional<LoadedCheckpoint> load_latest() const;
  // The checkpoint that has a mark, verified; nothing if none has.
  std::optional<LoadedCheckpoint> load_marked(Mark mark) const;
  std::optional<std::uint64_t> marked_step(Mark mark) const;  // unverified
  // Gives a mark to the checkpoint of a step; takes it away where there is no such checkpoint.
  Status set_mark(Mark mark, std::uint64_t step);
  Status clear_mark(Mark mark);
  // Gives up what follows the checkpoint of a step: LATEST names it, and those of later steps go.
  Status return_to(std::uint64_t step);
  // One given directory; throws Error with the reason.
  static LoadedCheckpoint load(const std::filesystem::path& directory);
  // The same for one that a user named (generate --model, --init, …): no other one is taken in its
  // place, but the error names the newest of those that are beside it.
  static LoadedCheckpoint load_given(const std::filesystem::path& directory);

  // For a run that starts anew in a used folder: moves all checkpoints to RUN/checkpoints.old, in
  // place of what was there.
  Status set_aside();

  // How many there may be for a moment: those kept, those with a mark, and the one being written.
  static std::uint64_t most_at_once(int keep) {
    return static_cast<std::uint64_t>(keep < 1 ? 1 : keep) + std::size(kMarks) + 1;
  }
  // Bytes on the disk that a save of `contents` needs.
  static std::uint64_t bytes_needed(const CheckpointContents& contents);

 private:
  // `shown`: what messages call the directory.
  Status write_directory(const CheckpointContents& contents, const std::filesystem::path& directory,
                         const std::filesystem::path& shown) const;
  Status publish(const std::filesystem::path& temporary, const std::string& name) const;
  void remove_superseded(std::uint64_t newest) const;

  std::filesystem::path directory_;  // RUN/checkpoints
  int keep_;
};

}  // namespace anemone::train

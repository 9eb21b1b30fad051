// The names in RUN/checkpoints: step-N folders, and the files that name one of them (LATEST and the
// marks). Names only: nothing is verified here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace anemone::train {

// A checkpoint that is kept apart from the newest ones, named by a file of its own.
enum class Mark : std::uint8_t {
  best,  // BEST: the lowest validation loss
  good,  // GOOD: where train.on_nonfinite = "rollback" goes back to
};
inline constexpr Mark kMarks[] = {Mark::best, Mark::good};
const char* mark_file(Mark mark);

inline constexpr const char* kLatestFile = "LATEST";
inline constexpr const char* kReplacedSuffix = ".old";  // complete; a newer one took its place

std::string checkpoint_name(std::uint64_t step);  // "step-00000400"

struct FoundCheckpoint {
  std::string name;
  std::uint64_t step = 0;
  bool replaced = false;
};
// Every complete-looking checkpoint below RUN/checkpoints, the newest first. Throws Error for a
// folder that cannot be listed.
std::vector<FoundCheckpoint> list_checkpoints(const std::filesystem::path& directory);

// What LATEST or a mark says, without its line end; nothing when there is no such file.
std::optional<std::string> read_name(const std::filesystem::path& directory, const char* file);
// The checkpoint that a file names, if it is there: as named, or stepped aside.
std::optional<FoundCheckpoint> find_named(const std::vector<FoundCheckpoint>& all,
                                          const std::string& name);

// The checkpoint folder that a user means by a checkpoint's folder itself, RUN/best, RUN/last, or
// RUN: its best where validation chose one, else its last. Nothing if `given` is none of these;
// throws Error for a run that has no such checkpoint.
std::optional<std::filesystem::path> find_checkpoint(const std::filesystem::path& given);

}  // namespace anemone::train

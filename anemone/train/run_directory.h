// The folder of one run: its lock (one run at a time), its resolved config, metrics.jsonl, report
// and checkpoints.
//
// The lock is flock(2) on RUN/lock, which holds the owner's pid for the message. It belongs to the
// open descriptor, so it goes with the process however that ends. A program that re-executes itself
// calls keep_for_exec(): the descriptor then stays open across exec, its number travels in the
// environment variable ANEMONE_RUN_LOCK_FD, and the constructor of the new process adopts it, so
// that there is no moment without the lock.
#pragma once

#include <filesystem>
#include <string>

#include "anemone/base/error.h"

namespace anemone::train {

// The resolved config, in a run's folder.
inline constexpr const char* kRunConfigFile = "config.toml";

// For a folder that holds no run, where one is to go on.
Error no_run_to_resume(const std::filesystem::path& folder);

class RunDirectory {
 public:
  // Creates the folder if need be and takes the lock; throws Error when another process (named by
  // pid) holds it.
  explicit RunDirectory(std::filesystem::path path);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  // For a run that did not begin: removes the folder, if this object made it, with the lock, config
  // and metrics in it; nothing else is touched.
  void discard_if_new();

  // From now on only the end of the process, or the process it becomes, lets go of the lock. Call
  // just before exec, while no other thread reads the environment.
  void keep_for_exec();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path metrics_path() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path report_path() const { return path_ / "report.json"; }
  std::filesystem::path config_path() const { return path_ / kRunConfigFile; }

 private:
  std::filesystem::path path_;
  bool new_ = false;  // the folder was not there before
  int lock_ = -1;
};

}  // namespace anemone::train

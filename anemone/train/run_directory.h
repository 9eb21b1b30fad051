// The folder of one run: its lock (one run at a time), its resolved config, metrics.jsonl, report
// and checkpoints.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "anemone/base/error.h"

namespace anemone::train {

class RunDirectory {
 public:
  // Creates the folder if need be and takes the lock; throws Error when another process (named by
  // pid) holds it. The lock goes with the process, however it ends, and survives re-execution.
  explicit RunDirectory(std::filesystem::path path);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path metrics_path() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path report_path() const { return path_ / "report.json"; }
  std::filesystem::path config_path() const { return path_ / "config.toml"; }

 private:
  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace anemone::train

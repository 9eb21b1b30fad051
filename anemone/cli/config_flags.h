// The flags of subcommands that read a run config: each is a short way to set one key.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "anemone/train/run_config.h"

namespace anemone::cli {

class ConfigFlags {
 public:
  // Declares --config, --set and the flags whose names are given ("--steps", …; all of them when
  // empty).
  void declare(CLI::App& app, const std::vector<std::string>& names);

  const std::string& path() const { return path_; }
  void set_path(std::string path) { path_ = std::move(path); }
  // The file, then --set, then the flags. Throws UsageError when one of these two is wrong.
  train::RunConfig load() const;
  // The same flags again, for a command line.
  std::vector<std::string> arguments() const;

 private:
  std::string path_;
  std::vector<std::string> sets_;
  std::map<std::string, std::string> values_;  // by flag; empty = not given
};

}  // namespace anemone::cli

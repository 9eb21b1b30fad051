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

  // Declares --text and --tokenizer: text to train on, with the config's own or the built-in model.
  void declare_text(CLI::App& app);

  // Is there a config at all: a file, or the built-in one for --text?
  bool given() const { return !path_.empty() || !text_.empty(); }
  std::string name() const;  // of the config, for the name of a run's folder
  void set_path(std::string path) { path_ = std::move(path); }
  // The file, then --set, then the flags. Throws UsageError when one of these two is wrong.
  train::RunConfig load() const;
  // The same flags again, for a command line.
  std::vector<std::string> arguments() const;

 private:
  void add_text(std::vector<train::ConfigOverride>& overrides) const;

  std::string path_, tokenizer_;
  std::vector<std::string> text_;
  std::vector<std::string> sets_;
  std::map<std::string, std::string> values_;  // by flag; empty = not given
};

}  // namespace anemone::cli

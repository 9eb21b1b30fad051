// The flags of subcommands that read a run config: each is a short way to set one key.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
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

  // Declares --text, --tokenizer and --init: text to train on, and the weights to begin with.
  void declare_training(CLI::App& app);

  // Is there a config at all: a file, a run's own, or the built-in one for --text?
  bool given() const { return !path_.empty() || !run_.empty() || !text_.empty(); }
  std::string name() const;  // of the config, for the name of a run's folder
  // The config of the run that is resumed, in place of the built-in one.
  void set_run(const std::filesystem::path& config) { run_ = config.string(); }
  const std::string& init() const { return init_; }
  // The file (else the run's, else the built-in config, with the shape of --init's model), then
  // --text, then --set, then the flags. Throws UsageError when one of these is wrong.
  train::RunConfig load() const;
  // The same flags again, for a command line.
  std::vector<std::string> arguments() const;

 private:
  bool takes_shape_of_init() const;
  void add_model(std::vector<train::ConfigOverride>& overrides) const;
  void add_text(std::vector<train::ConfigOverride>& overrides) const;

  std::string path_, run_, tokenizer_, init_;
  std::vector<std::string> text_;
  std::vector<std::string> sets_;
  std::map<std::string, std::string> values_;  // by flag; empty = not given
};

}  // namespace anemone::cli

// What a run is: model, data, training, engine. One list of keys reads TOML, applies `--set
// key=value`, prints the resolved config and documents the keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/nn/model_config.h"

namespace anemone::train {

struct DataConfig {
  std::string source = "original";  // original, teacher, pairs, tokens, text
  std::string path;                 // pairs: a safetensors file with x, y of shape [N, C, S]
                                    // tokens: files of token ids; text: files and folders
  std::string tokenizer = "bytes";  // or a vocabulary: of text, and to write samples
  std::int64_t samples = 64;        // teacher: training samples
  std::int64_t held_out = 16;       // teacher, pairs: validation samples
  std::int64_t seed = 42;
  std::string order = "shuffled";    // or sequential; of tokens
  double validation_fraction = 0.1;  // the last part of the tokens,
  std::string validation_path;       // or all tokens of these files
};

struct TrainConfig {
  std::int64_t steps = 400;       // micro-steps in all, also after a resume
  std::int64_t accumulate = 100;  // micro-steps an update
  std::int64_t lanes = 0;         // of them side by side, each with its own gradient (step_team.h)
  double learning_rate = 1e-3;
  std::string schedule = "constant";      // of the learning rate: schedule.h
  std::int64_t warmup = 0;                // updates
  double min_learning_rate_fraction = 0;  // of learning_rate, where a schedule ends
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;
  double grad_clip = 0;                // global norm; 0 = off
  std::string loss_scale = "dynamic";  // or a number
  double initial_loss_scale = 65536;
  std::int64_t loss_scale_growth_interval = 200;  // good updates before it doubles
  // A non-finite number that no smaller loss scale can cure: skip (the update is discarded), stop,
  // or rollback (to the last checkpoint by steps, with other data).
  std::string on_nonfinite = "skip";
  std::int64_t max_rollbacks = 3;       // in a row to the same checkpoint
  std::int64_t checkpoint_steps = 100;  // 0 = not by steps
  double checkpoint_minutes = 5;        // 0 = not by time
  std::int64_t keep = 3;
  std::int64_t validate_every = 0;  // updates; 0 = at the start and the end only
  // Text that a language model writes meanwhile (text_sampler.h).
  std::int64_t sample_every = 0;     // updates; 0 = as validate_every
  std::int64_t sample_tokens = 200;  // 0 = no samples
  std::string sample_prompt;         // empty: what begins a text
  double sample_temperature = 1;
  std::int64_t sample_seed = 42;
  double max_minutes = 0;  // 0 = no limit
  std::int64_t seed = 42;
};

struct EngineConfig {
  std::string name = "auto";
  std::string precision = "fp16";  // fp16, bf16, fp32
  std::string numerics = "exact";  // or a device's, emulated: NAME:PROFILE
  std::string partition;           // empty = the engine's default
  std::string target;              // empty = this machine
  std::int64_t threads = 0;
  std::int64_t compile_limit = 0;  // 0 = the engine's own; more simulates a budget on any engine
  bool pack_io = false;            // force packed inputs and outputs
  bool multi_function = false;     // several functions in a program, where the engine can
};

struct RunConfig {
  nn::ModelConfig model;
  DataConfig data;
  TrainConfig train;
  EngineConfig engine;
};

// One key: "train.steps", its value as TOML text, and what it means.
struct ConfigKey {
  std::string name, value, help;
};

// A key given from outside of the file: "train.steps=200", the value in TOML syntax or a bare word,
// which is a string.
struct ConfigOverride {
  ConfigOverride(std::string given) : text(given), origin(std::move(given)) {}
  ConfigOverride(std::string given, std::string from)
      : text(std::move(given)), origin(std::move(from)) {}
  std::string text;
  std::string origin;  // what errors name: "--steps 200"
};

// The problem is in an override, not in the file.
class OverrideError : public Error {
 public:
  using Error::Error;
};

// Reads a TOML file and applies overrides. Throws Error with file, line and key for syntax errors,
// unknown keys (naming the nearest), wrong types and values out of range: every such problem of the
// file at once, a line each. Throws OverrideError for those of overrides.
RunConfig load_run_config(const std::filesystem::path& path,
                          std::span<const ConfigOverride> overrides);
RunConfig parse_run_config(std::string_view toml, const std::string& name,
                           std::span<const ConfigOverride> overrides);

std::vector<ConfigKey> config_keys(const RunConfig& config);
std::string to_toml(const RunConfig& config);  // the resolved config; reads back as the same

// Differences that make a resume impossible (model, data, optimizer…), as "key: was A, now B".
std::vector<std::string> resume_conflicts(const RunConfig& saved, const RunConfig& now);

}  // namespace anemone::train

// The list of flags that stand for keys.
#include "anemone/cli/config_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "anemone/cli/command.h"
#include "anemone/cli/model_argument.h"
#include "anemone/cli/text_argument.h"
#include "anemone/model/find_tokenizer.h"
#include "anemone/text/tokenizer.h"
#include "anemone/train/builtin_config.h"
#include "anemone/train/initial_weights.h"

namespace anemone::cli {
namespace {

struct Flag {
  std::string_view flag, key, type, help;
};

constexpr Flag kFlags[] = {
    {"--steps", "train.steps", "N", "Micro-steps in all, also after a resume"},
    {"--engine", "engine.name", "NAME", "Engine: auto, ane, cpu, reference"},
    {"--precision", "engine.precision", "P", "fp16, bf16 or fp32"},
    {"--numerics", "engine.numerics", "NAME",
     "exact, or a device's arithmetic, emulated: ane, ane:m1 …"},
    {"--partition", "engine.partition", "NAME",
     "How a step is cut into programs: six, merged, dynamic"},
    {"--threads", "engine.threads", "N", "Threads; 0 = what affinity and cgroup allow"},
    {"--seed", "train.seed", "N", "Of the initial weights and the order of samples"},
    {"--max-minutes", "train.max_minutes", "M", "Stop with a checkpoint after so many minutes"},
    {"--compile-limit", "engine.compile_limit", "N",
     "Compiles a process, as if the engine allowed no more; 0 = its own limit"},
};

// Flags without a value stand for "true".
constexpr Flag kSwitches[] = {
    {"--ane-multi-function", "engine.multi_function", "",
     "Several kernels in one program on the Neural Engine: fewer compiles (unproven)"},
};

// Here, since what follows a blank is an argument of its own to the parser, which nobody expects.
std::string check_assignment(const std::string& given) {
  if (given.find('=') != std::string::npos) return {};
  return fmt::format("'{0}' has no value: write {0}=VALUE, without blanks around the =", given);
}

bool is_switch(std::string_view flag) {
  return std::any_of(std::begin(kSwitches), std::end(kSwitches),
                     [&](const Flag& known) { return known.flag == flag; });
}

// A string's, in TOML's syntax.
train::ConfigOverride assignment(std::string_view key, const std::string& value,
                                 const std::string& origin) {
  std::string quoted;
  for (const char c : value)
    quoted += c == '"' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
  return {fmt::format("{}=\"{}\"", key, quoted), origin};
}

}  // namespace

void ConfigFlags::declare(CLI::App& app, const std::vector<std::string>& names) {
  app.add_option("--config,-c", path_, "The run config, a TOML file")->type_name("FILE");
  for (const Flag& flag : kFlags) {
    const std::string name(flag.flag);
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) continue;
    app.add_option(name, values_[name], std::string(flag.help))->type_name(std::string(flag.type));
  }
  for (const Flag& flag : kSwitches) {
    const std::string name(flag.flag);
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) continue;
    app.add_flag_callback(
        name, [this, name] { values_[name] = "true"; }, std::string(flag.help));
  }
  app.add_option("--set", sets_, "Set any key of the config: --set train.learning_rate=2e-3")
      ->type_name("KEY=VALUE")
      ->check(check_assignment)
      ->allow_extra_args(false);
}

void ConfigFlags::declare_training(CLI::App& app) {
  app.add_option("--text", text_,
                 "Train on this text: files, folders (all files below them); token ids are cached. "
                 "Without --config: the built-in config, configs/tiny.toml")
      ->type_name("FILE");
  app.add_option("--tokenizer", tokenizer_,
                 "Of the text: bytes (default), or a vocabulary in llama2.c's tokenizer.bin format")
      ->type_name("bytes|FILE");
  app.add_option("--init", init_,
                 "Weights to begin with: a trained model (a run folder, a checkpoint, a llama2.c "
                 ".bin file, a Hugging Face folder) or a safetensors file. Without --config, the "
                 "model's shape and tokenizer are taken, too")
      ->type_name("MODEL");
}

std::string ConfigFlags::name() const {
  return path_.empty() ? train::kBuiltinConfigName : std::filesystem::path(path_).stem().string();
}

// A config of one's own, or a run's, says what the model is.
bool ConfigFlags::takes_shape_of_init() const {
  return path_.empty() && run_.empty() && !init_.empty() && train::is_whole_model(init_);
}

void ConfigFlags::add_model(std::vector<train::ConfigOverride>& overrides) const {
  const model::ModelFile file = read_model_argument(init_);
  const std::string origin = "--init " + init_;
  for (const train::ConfigKey& key : train::config_keys({.model = file.config})) {
    if (key.name.rfind("model.", 0) == 0)
      overrides.push_back({fmt::format("{}={}", key.name, key.value), origin});
  }
  const model::FoundTokenizer found =
      model::find_tokenizer({init_, file.config.vocab, file.tokenizer, tokenizer_});
  overrides.push_back(assignment("data.tokenizer", found.name, origin));
}

// Text brings its own source, and its tokenizer the size of the vocabulary.
void ConfigFlags::add_text(std::vector<train::ConfigOverride>& overrides) const {
  const auto set = [&](std::string_view key, const std::string& value, const std::string& origin) {
    overrides.push_back(assignment(key, value, origin));
  };
  if (!tokenizer_.empty() && !takes_shape_of_init()) {
    const auto tokenizer = text::load_tokenizer(tokenizer_);
    set("data.tokenizer", tokenizer_, "--tokenizer " + tokenizer_);
    overrides.push_back(
        {fmt::format("model.vocab={}", tokenizer->vocabulary()), "--tokenizer " + tokenizer_});
  }
  if (text_.empty()) return;
  for (const std::string& path : text_) {
    if (path.empty() || path.find(',') != std::string::npos)
      throw UsageError(fmt::format("'{}' cannot be named here", path), "--text",
                       "a name without a comma; give the folder it is in");
  }
  check_text(text_);
  const std::string origin = fmt::format("--text {}", fmt::join(text_, " "));
  set("data.source", "text", origin);
  set("data.path", fmt::format("{}", fmt::join(text_, ",")), origin);
  set("data.validation_path", "", origin);
}

train::RunConfig ConfigFlags::load() const {
  std::vector<train::ConfigOverride> overrides;
  if (takes_shape_of_init()) add_model(overrides);
  add_text(overrides);
  for (const std::string& set : sets_) overrides.push_back({set, "--set " + set});
  const auto add = [&](const Flag& flag) {
    const auto value = values_.find(std::string(flag.flag));
    if (value == values_.end() || value->second.empty()) return;
    overrides.push_back({fmt::format("{}={}", flag.key, value->second),
                         fmt::format("{} {}", flag.flag, value->second)});
  };
  for (const Flag& flag : kFlags) add(flag);
  for (const Flag& flag : kSwitches) add(flag);
  try {
    if (path_.empty() && run_.empty())
      return train::parse_run_config(train::builtin_config(), "the built-in config", overrides);
    return train::load_run_config(path_.empty() ? run_ : path_, overrides);
  } catch (const train::OverrideError& error) {
    throw UsageError(error.problem(), error.where(), error.expected());
  }
}

std::vector<std::string> ConfigFlags::arguments() const {
  std::vector<std::string> list;
  if (!path_.empty()) list = {"--config", path_};
  for (const std::string& path : text_) list.insert(list.end(), {"--text", path});
  if (!tokenizer_.empty()) list.insert(list.end(), {"--tokenizer", tokenizer_});
  for (const std::string& set : sets_) {
    list.push_back("--set");
    list.push_back(set);
  }
  for (const auto& [flag, value] : values_) {
    if (value.empty()) continue;
    list.push_back(flag);
    if (!is_switch(flag)) list.push_back(value);
  }
  return list;
}

}  // namespace anemone::cli

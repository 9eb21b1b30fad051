// The list of flags that stand for keys.
#include "anemone/cli/config_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "anemone/cli/command.h"

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

bool is_switch(std::string_view flag) {
  return std::any_of(std::begin(kSwitches), std::end(kSwitches),
                     [&](const Flag& known) { return known.flag == flag; });
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
      ->allow_extra_args(false);
}

train::RunConfig ConfigFlags::load() const {
  std::vector<train::ConfigOverride> overrides;
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
    return train::load_run_config(path_, overrides);
  } catch (const train::OverrideError& error) {
    throw UsageError(error.problem(), error.where(), error.expected());
  }
}

std::vector<std::string> ConfigFlags::arguments() const {
  std::vector<std::string> list = {"--config", path_};
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

// Reads run configs. `visit_keys` is the only list of keys: reading, overriding, printing,
// documenting and comparing configs are visitors of it, so a new key is one line.
#include "anemone/train/run_config.h"

#include <fmt/format.h>

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <type_traits>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "anemone/base/nearest_name.h"
#include "anemone/engine/engines.h"
#include "anemone/nn/layer.h"
#include "anemone/train/data_source.h"

namespace anemone::train {
namespace {

enum class OnResume : std::uint8_t {
  fixed,  // another value makes it another run
  free,
};

struct Key {
  std::string_view name;
  std::string_view help;
  double min = 0, max = 0;  // of a number; equal = any
  OnResume on_resume = OnResume::fixed;
  std::vector<std::string_view> choices = {};  // of a string; empty = any
  bool or_number = false;                      // a string that may be written as a number
};

constexpr double kMaxSize = 1 << 24, kMaxSteps = 1e15, kMaxSeed = 4294967295.0, kHuge = 1e300;

std::vector<std::string_view> engine_names() {
  std::vector<std::string_view> names = {"auto"};
  for (const engine::EngineEntry& entry : engine::engines()) names.push_back(entry.name);
  return names;
}

std::vector<std::string_view> partition_names() {
  std::vector<std::string_view> names = {""};
  for (const nn::Partition& partition : nn::partitions()) names.push_back(partition.name);
  return names;
}

template <class Model, class Visit>
void visit_model_keys(Model& m, Visit&& visit) {
  visit(Key{"model.dim", "channels of the residual stream", 1, kMaxSize}, m.dim);
  visit(Key{"model.hidden", "channels inside the feed-forward block", 1, kMaxSize}, m.hidden);
  visit(Key{"model.heads", "query heads", 1, kMaxSize}, m.heads);
  visit(Key{"model.kv_heads", "key/value heads; 0 = heads", 0, kMaxSize}, m.kv_heads);
  visit(Key{"model.head_dim", "channels of a head; 0 = dim / heads", 0, kMaxSize}, m.head_dim);
  visit(Key{"model.layers", "layers", 1, kMaxSize}, m.layers);
  visit(Key{"model.seq", "positions in a sequence", 1, kMaxSize}, m.seq);
  visit(Key{"model.batch", "sequences in a step", 1, kMaxSize}, m.batch);
  visit(Key{"model.rope", "rotary position embedding"}, m.rope);
  visit(Key{"model.rope_theta", "its base", 1, kHuge}, m.rope_theta);
  visit(Key{"model.norm_eps", "epsilon of RMSNorm", 1e-12, 1}, m.norm_eps);
}

template <class Data, class Visit>
void visit_data_keys(Data& d, Visit&& visit) {
  visit(
      Key{"data.source", "original, teacher or pairs", 0, 0, OnResume::fixed, data_source_names()},
      d.source);
  visit(Key{"data.path", "pairs: a safetensors file with x and y of shape [N, dim, seq]"}, d.path);
  visit(Key{"data.samples", "teacher: training samples", 1, kMaxSize}, d.samples);
  visit(Key{"data.held_out", "teacher, pairs: validation samples", 0, kMaxSize}, d.held_out);
  visit(Key{"data.seed", "of the data", 0, kMaxSeed}, d.seed);
}

template <class Train, class Visit>
void visit_train_keys(Train& t, Visit&& visit) {
  visit(Key{"train.steps", "micro-steps in all, also after a resume", 1, kMaxSteps, OnResume::free},
        t.steps);
  visit(Key{"train.accumulate", "micro-steps an update", 1, kMaxSteps}, t.accumulate);
  visit(Key{"train.learning_rate", "Adam's step size", 0, kHuge}, t.learning_rate);
  visit(Key{"train.beta1", "Adam's decay of the mean", 0, 0.9999999}, t.beta1);
  visit(Key{"train.beta2", "Adam's decay of the mean square", 0, 0.9999999}, t.beta2);
  visit(Key{"train.epsilon", "Adam's epsilon", 0, 1}, t.epsilon);
  visit(Key{"train.weight_decay", "decoupled, times the learning rate; not for norms", 0, 1e6},
        t.weight_decay);
  visit(Key{"train.grad_clip", "largest global gradient norm; 0 = any", 0, kHuge}, t.grad_clip);
  visit(Key{"train.loss_scale", "\"dynamic\" or a number", 0, 0, OnResume::fixed, {}, true},
        t.loss_scale);
  visit(Key{"train.initial_loss_scale", "where a dynamic loss scale starts", 1.0 / (1 << 24),
            1 << 24},
        t.initial_loss_scale);
  visit(Key{"train.loss_scale_growth_interval", "good updates before a dynamic loss scale doubles",
            1, kMaxSteps},
        t.loss_scale_growth_interval);
  visit(Key{"train.checkpoint_steps", "micro-steps between checkpoints; 0 = not by steps", 0,
            kMaxSteps, OnResume::free},
        t.checkpoint_steps);
  visit(Key{"train.checkpoint_minutes", "minutes between checkpoints; 0 = not by time", 0, 1e9,
            OnResume::free},
        t.checkpoint_minutes);
  visit(Key{"train.keep", "checkpoints kept", 1, 1e6, OnResume::free}, t.keep);
  visit(
      Key{"train.validate_every", "updates between validations; 0 = at the end only", 0, kMaxSteps},
      t.validate_every);
  visit(Key{"train.max_minutes", "stop with a checkpoint after so long; 0 = never", 0, 1e9,
            OnResume::free},
        t.max_minutes);
  visit(Key{"train.seed", "of the initial weights and of the samples' order", 0, kMaxSeed}, t.seed);
}

template <class Engine, class Visit>
void visit_engine_keys(Engine& e, Visit&& visit) {
  visit(Key{"engine.name", "which engine; auto = the best there is", 0, 0, OnResume::free,
            engine_names()},
        e.name);
  visit(Key{"engine.precision",
            "fp16; bf16: operands of products rounded to bf16; fp32: everything",
            0,
            0,
            OnResume::fixed,
            {"fp16", "bf16", "fp32"}},
        e.precision);
  visit(Key{"engine.partition", "how a step is cut into programs; empty = as the engine likes it",
            0, 0, OnResume::free, partition_names()},
        e.partition);
  visit(Key{"engine.target",
            "which machine to compile for, where the engine knows several; empty = this one", 0, 0,
            OnResume::free},
        e.target);
  visit(Key{"engine.threads", "0 = what affinity and cgroup allow", 0,
            engine::EngineOptions::kMostThreads, OnResume::free},
        e.threads);
  visit(Key{"engine.compile_limit", "compiles a process; 0 = the engine's own limit", 0, 1e9,
            OnResume::free},
        e.compile_limit);
  visit(Key{"engine.pack_io", "one packed input and output for each program", 0, 0, OnResume::free},
        e.pack_io);
  visit(Key{"engine.multi_function",
            "several functions in one program where the engine can: fewer compiles, unproven", 0, 0,
            OnResume::free},
        e.multi_function);
}

template <class Config, class Visit>
void visit_keys(Config& config, Visit&& visit) {
  visit_model_keys(config.model, visit);
  visit_data_keys(config.data, visit);
  visit_train_keys(config.train, visit);
  visit_engine_keys(config.engine, visit);
}

std::string toml_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(byte));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string toml_value(std::int64_t value) { return fmt::format("{}", value); }
std::string toml_value(bool value) { return value ? "true" : "false"; }
std::string toml_value(const std::string& value) { return toml_string(value); }
std::string toml_value(double value) { return fmt::format("{}", value); }

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

// "six, merged"; an empty choice is what leaving the key out means.
std::string choice_text(std::vector<std::string_view> choices) {
  std::erase(choices, "");
  return fmt::format("{}", fmt::join(choices, ", "));
}

bool is_whole_number(std::string_view word) {
  if (word.starts_with('-')) word.remove_prefix(1);
  return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
}

// Gives one key the value of a TOML node; `where` is "file:line" or the override's origin. `word`
// is the text of an override's value that is not TOML.
class Assign {
 public:
  Assign(std::string_view name, const toml::node& node, const std::string& where,
         const std::string* word)
      : name_(name), node_(node), where_(where), word_(word) {}
  bool found() const { return found_; }

  template <class T>
  void operator()(const Key& key, T& target) {
    if (key.name != name_) return;
    found_ = true;
    set(key, target);
  }

 private:
  [[noreturn]] void wrong_type(std::string_view expected) const {
    if (word_ == nullptr)
      throw Error(fmt::format("{} is {}", name_, kind_of(node_)), where_, std::string(expected));
    throw Error(is_whole_number(*word_) ? "the number is too large"
                                        : fmt::format("'{}' is not {}", *word_, expected),
                where_);
  }
  void check_range(const Key& key, double value) const {
    if (!std::isfinite(value)) throw Error(fmt::format("{} is not finite", name_), where_);
    if (key.min != key.max && (value < key.min || value > key.max))
      throw Error(fmt::format("{} = {} is out of range", name_, value), where_,
                  fmt::format("{} to {}", key.min, key.max));
  }
  void set(const Key& key, std::int64_t& target) const {
    const auto value = node_.value_exact<std::int64_t>();
    if (!value) wrong_type("an integer");
    check_range(key, static_cast<double>(*value));
    target = *value;
  }
  void set(const Key& key, double& target) const {
    if (!node_.is_number()) wrong_type("a number");
    const double value = node_.value<double>().value_or(std::nan(""));
    check_range(key, value);
    target = value;
  }
  void set(const Key&, bool& target) const {
    const auto value = node_.value_exact<bool>();
    if (!value) wrong_type("true or false");
    target = *value;
  }
  void set(const Key& key, std::string& target) const {
    if (key.or_number && node_.is_number()) {
      target = toml_value(node_.value<double>().value_or(0));
      return;
    }
    const auto value = node_.value_exact<std::string>();
    if (!value) wrong_type(key.or_number ? "a string or a number" : "a string");
    if (!key.choices.empty() &&
        std::find(key.choices.begin(), key.choices.end(), *value) == key.choices.end())
      throw Error(fmt::format("{} = {} is unknown", name_, toml_string(*value)), where_,
                  choice_text(key.choices));
    target = *value;
  }

  std::string_view name_;
  const toml::node& node_;
  const std::string& where_;
  const std::string* word_;
  bool found_ = false;
};

// "; did you mean train.steps?", or nothing. A right name in the wrong table counts too.
std::string did_you_mean(std::string_view name) {
  std::vector<std::string_view> names, last_parts;
  const RunConfig config;
  visit_keys(config, [&](const Key& key, const auto&) {
    names.push_back(key.name);
    last_parts.push_back(key.name.substr(key.name.find('.') + 1));
  });
  const std::string_view last = name.substr(name.rfind('.') + 1);
  // Spelled right in the wrong table, nearly right, nearly right in the wrong table.
  const auto in_any_table = [&](std::string_view part) {
    const auto found = std::find(last_parts.begin(), last_parts.end(), part);
    return found == last_parts.end() ? std::string_view()
                                     : names[static_cast<std::size_t>(found - last_parts.begin())];
  };
  std::string_view best = in_any_table(last);
  if (best.empty()) best = nearest_name(name, names);
  if (best.empty()) best = in_any_table(nearest_name(last, last_parts));
  return best.empty() ? "" : fmt::format("; did you mean {}?", best);
}

void assign(RunConfig& config, std::string_view name, const toml::node& node,
            const std::string& where, const std::string* word = nullptr) {
  Assign visitor(name, node, where, word);
  visit_keys(config, visitor);
  if (!visitor.found())
    throw Error(fmt::format("unknown key {}{}", name, did_you_mean(name)), where);
}

struct Problem {
  toml::source_index line;
  Error error;
};

// One error says them all, in the order of the file, a line each.
void throw_all(std::vector<Problem> problems, const std::string& name) {
  if (problems.empty()) return;
  if (problems.size() == 1) throw problems.front().error;
  std::stable_sort(problems.begin(), problems.end(),
                   [](const Problem& a, const Problem& b) { return a.line < b.line; });
  std::string text = fmt::format("{} problems", problems.size());
  for (const Problem& problem : problems) text += fmt::format("\n  {}", problem.error.what());
  throw Error(text, name);
}

std::string place(const std::string& name, const toml::node& node) {
  return fmt::format("{}:{}", name, node.source().begin.line);
}

void read_document(RunConfig& config, std::string_view text, const std::string& name) {
  toml::table document;
  try {
    document = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    throw Error(std::string(error.description()),
                fmt::format("{}:{}", name, error.source().begin.line));
  }
  std::vector<Problem> problems;
  const auto take = [&](std::string_view key, const toml::node& node) {
    try {
      assign(config, key, node, place(name, node));
    } catch (const Error& error) {
      problems.push_back({node.source().begin.line, error});
    }
  };
  for (auto&& [group, node] : document) {
    const toml::table* table = node.as_table();
    if (table == nullptr)
      take(group.str(), node);
    else
      for (auto&& [key, value] : *table) take(fmt::format("{}.{}", group.str(), key.str()), value);
  }
  throw_all(std::move(problems), name);
}

void apply_override(RunConfig& config, const ConfigOverride& given) {
  const std::size_t equals = given.text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw Error("no key and value", given.origin, "KEY=VALUE, for example train.steps=200");
  const std::string name = given.text.substr(0, equals), value = given.text.substr(equals + 1);
  toml::table document;
  try {
    document = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {
    document.clear();
  }
  // Not TOML (or more than one value): a bare word, taken as a string.
  const bool word = document.size() != 1 || !document.contains("value");
  if (word) {
    document.clear();
    document.insert("value", value);
  }
  assign(config, name, *document.get("value"), given.origin, word ? &value : nullptr);
}

// Checks that concern several keys; `name` is that of the file.
void finish(RunConfig& config, const std::string& name) {
  config.model.dtype = config.engine.precision == "fp32" ? DType::fp32 : DType::fp16;
  try {
    config.model.resolve();
  } catch (const Error& error) {
    throw Error(error.problem(), error.where().empty() ? name : name + ": " + error.where(),
                error.expected());
  }
  const std::string& scale = config.train.loss_scale;
  if (scale == "dynamic") return;
  // Not from_chars: macOS's standard library has it for integers only.
  char* end = nullptr;
  const double number = std::strtod(scale.c_str(), &end);
  if (end != scale.c_str() + scale.size() || !std::isfinite(number) || number <= 0)
    throw Error(fmt::format("train.loss_scale = {} is unknown", toml_string(scale)), name,
                "\"dynamic\" or a number above 0");
}

}  // namespace

RunConfig parse_run_config(std::string_view toml, const std::string& name,
                           std::span<const ConfigOverride> overrides) {
  RunConfig config;
  read_document(config, toml, name);
  if (overrides.empty()) {
    finish(config, name);
    return config;
  }
  try {
    std::string names = name + " with";
    for (const ConfigOverride& given : overrides) {
      apply_override(config, given);
      names += " " + given.origin;
    }
    finish(config, names);
  } catch (const Error& error) {
    throw OverrideError(error.problem(), error.where(), error.expected());
  }
  return config;
}

RunConfig load_run_config(const std::filesystem::path& path,
                          std::span<const ConfigOverride> overrides) {
  return parse_run_config(read_text_file(path), path.string(), overrides);
}

std::vector<ConfigKey> config_keys(const RunConfig& config) {
  std::vector<ConfigKey> keys;
  visit_keys(config, [&](const Key& key, const auto& value) {
    keys.push_back({std::string(key.name), toml_value(value), std::string(key.help)});
  });
  return keys;
}

std::string to_toml(const RunConfig& config) {
  std::string text, group;
  for (const ConfigKey& key : config_keys(config)) {
    const std::size_t dot = key.name.find('.');
    const std::string key_group = key.name.substr(0, dot);
    if (key_group != group) {
      text += fmt::format("{}[{}]\n", group.empty() ? "" : "\n", key_group);
      group = key_group;
    }
    text += fmt::format("{:<42}# {}\n", fmt::format("{} = {}", key.name.substr(dot + 1), key.value),
                        key.help);
  }
  return text;
}

std::vector<std::string> resume_conflicts(const RunConfig& saved, const RunConfig& now) {
  std::vector<std::string> conflicts;
  const std::vector<ConfigKey> saved_keys = config_keys(saved);
  std::size_t index = 0;
  visit_keys(now, [&](const Key& key, const auto& value) {
    const std::string& before = saved_keys[index++].value;
    const std::string after = toml_value(value);
    if (key.on_resume == OnResume::fixed && before != after)
      conflicts.push_back(fmt::format("{}: was {}, now {}", key.name, before, after));
  });
  return conflicts;
}

}  // namespace anemone::train

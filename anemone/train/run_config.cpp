// Reads run configs: everything here is a visitor of the list of keys.
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
#include "anemone/base/is_whole_number.h"
#include "anemone/base/nearest_name.h"
#include "anemone/engine/engines.h"
#include "anemone/train/run_config_keys.h"

namespace anemone::train {
namespace {

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
std::string toml_value(nn::Rope value) { return toml_string(nn::rope_name(value)); }
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
  void set(const Key& key, nn::Rope& target) const {
    std::string name;
    set(key, name);
    target = nn::find_rope(name).value();
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

void check_numerics(const EngineConfig& engine, const std::string& name) {
  try {
    engine::check_numerics(engine.name, engine.numerics);
  } catch (const Error& error) {
    throw Error(error.problem(), name + ": " + error.where(), error.expected());
  }
  if (engine.numerics != "exact" && engine.precision != "fp16")
    throw Error(fmt::format("engine.precision = {} is not what engine.numerics = {} emulates",
                            toml_string(engine.precision), toml_string(engine.numerics)),
                name, "fp16");
}

// Checks that concern several keys; `name` is that of the file.
void finish(RunConfig& config, const std::string& name) {
  check_numerics(config.engine, name);
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
    std::string names = name + " with", last;
    for (const ConfigOverride& given : overrides) {
      apply_override(config, given);
      if (given.origin != last) names += " " + given.origin;  // a flag may stand for several keys
      last = given.origin;
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
